"""Mao, Mohri & Zhong 2023: how many errors a surrogate regret allows, for members of the comp-sum family."""

from typing import Any

import numpy as np

from figures.studio import Drawing, figure
from figures.style import canvas, legend, simulation, theory
from paper_checks.claim import Run
from simulations import generalization as sim
from theory import generalization


@figure(
    "mao2023.bounds",
    caption=r"""Regret of errors against surrogate regret, for 10 classes and five members of the comp-sum family, from
    the sum of exponentials (tau = 0) over cross-entropy (1) to the mean absolute error (2). Lines: the largest regret
    of errors that the bound allows. Markers: scores that are tied, which attain it: two classes for tau up to 1, all
    ten at 2, where the line is attained up to 1/9; none are drawn at 1.5, where attainment is open. Dots: random
    classes of which the runner-up has the largest score, least risks found numerically.""",
)
def bounds(run: Run) -> Drawing:
    """Draw random instances, and take tied ones to several surrogate regrets."""
    count = run.size("instances for each tau", quick=100, standard=400, full=2000)
    c, taus = 10, (0.0, 0.5, 1.0, 1.5, 2.0)
    fine, marked = np.geomspace(1e-5, 2, 300), np.geomspace(3e-5, 0.3, 5)
    image, ((axes,),) = canvas(width=5.6, height=4.0)
    entries: list[tuple[Any, str]] = []
    numbers: dict[str, Any] = {"fine": fine, "taus": np.array(taus)}
    for series, tau in enumerate(taus):
        p, s = _rivals(run.rng(f"instances {tau}"), count, c)
        surrogate, errors = sim.surrogate_regret(p, s, np.full(count, tau)), sim.error_regret(p, s)
        wrong = (errors > 0) & (surrogate > 0)
        line = generalization.h_consistency_bound(fine, tau=tau, num_classes=c)
        handles: tuple[Any, ...] = (theory(axes, fine, line, series),)
        simulation(axes, surrogate[wrong], errors[wrong], series, marker=".", markersize=2, alpha=0.5)
        numbers |= {f"line_{series}": line, f"surrogate_{series}": surrogate[wrong], f"errors_{series}": errors[wrong]}
        numbers[f"allowed_{series}"] = generalization.h_consistency_bound(surrogate[wrong], tau=tau, num_classes=c)
        if tau != 1.5:
            ties = "two" if tau <= 1 else "all"
            aims = marked if tau <= 1 else marked[marked < 1 / (c * (c - 1))]
            reached = np.array([sim.largest_error_regret(t, tau, num_classes=c, ties=ties) for t in aims])
            handles += (simulation(axes, aims, reached, series),)
            numbers |= {f"aims_{series}": aims, f"reached_{series}": reached}
        entries.append((handles, rf"$\tau$ = {tau:g}"))
    axes.set(xscale="log", yscale="log", xlim=(1e-5, 2), ylim=(1e-4, 1.3))
    axes.set(xlabel="surrogate regret $t$", ylabel=r"regret of errors $\beta$")
    legend(axes, entries, loc="lower right")
    return Drawing(image, numbers)


def _rivals(rng: np.random.Generator, count: int, c: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw classes with a runner-up close to the likeliest, and scores that prefer it by a little: (p, s)."""
    others = rng.dirichlet(np.ones(c - 2), count) * rng.uniform(0, 0.6, (count, 1)) ** 2
    two = (1 - others.sum(axis=1)) / 2
    gap, lead = two * 10 ** rng.uniform(-3, 0, count), 10 ** rng.uniform(-3, 0, count)
    p = np.column_stack([two + gap, two - gap, others])
    power = rng.uniform(0.5, 4, (count, 1))
    s = np.column_stack([two, two, others + 1e-4]) ** power
    s[:, 1] *= 1 + lead
    p[:, 2:] = np.minimum(p[:, 2:], p[:, :1])
    return p / p.sum(axis=1, keepdims=True), s / s.sum(axis=1, keepdims=True)
