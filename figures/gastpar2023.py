"""Gastpar, Nachum, Shafer & Weinberger 2024: how often the best estimator of the population error must fail."""

from fractions import Fraction
from typing import Any

import numpy as np

from figures.studio import Drawing, figure
from figures.style import canvas, legend, reference, simulation, theory
from paper_checks.claim import Run
from simulations import generalization as sim
from theory import generalization


@figure(
    "gastpar2023.staircase",
    caption=r"""Least worst-case probability that an estimator misses the population error by eps or more, for any
    learner that fits n of d = 20 points and any labels. Lines: one minus the mean of 1 / K over the number of unseen
    points. Markers: optimal mixtures of both sides, found by linear programmes, played on drawn samples, with standard
    errors. The failure drops where one window of width 2 eps serves one more number of errors; an estimate within less
    than 1/4 (dotted) fails half the time as long as at most half of the domain is seen.""",
)
def staircase(run: Run) -> Drawing:
    """Play the estimation game at several accuracies and sizes of the sample."""
    replicates = run.size("replicates", quick=2000, standard=20_000, full=200_000)
    d, aims = 20, [Fraction(i, 80) for i in range(1, 44, 6)]
    fine = (np.arange(1, 481) + 0.5) / 800
    image, ((axes,),) = canvas()
    entries: list[tuple[Any, str]] = []
    numbers: dict[str, Any] = {"fine": fine, "aims": np.array(aims, dtype=float)}
    for series, n in enumerate((2, 5, 10)):
        line = np.array([generalization.minimax_estimation_failure(d, n, eps) for eps in fine])
        on_marks = np.array([generalization.minimax_estimation_failure(d, n, float(eps)) for eps in aims])
        played = [
            sim.play_estimation_game(run.keys(replicates, f"{n} {eps}"), domain_size=d, n=n, eps=eps) for eps in aims
        ]
        mean, error = np.mean(played, axis=1), np.std(played, axis=1) / np.sqrt(replicates)
        handles = (theory(axes, fine, line, series), simulation(axes, numbers["aims"], mean, series, error=error))
        entries.append((handles, f"n = {n}"))
        numbers |= {f"line_{n}": line, f"on_marks_{n}": on_marks, f"marks_{n}": mean, f"error_{n}": error}
    reference(axes, [0.25, 0.25], [0, 1], linestyle=":")
    axes.set(xlabel=r"accuracy $\epsilon$", ylabel=r"probability of failure $\delta^*$", ylim=(0, 1))
    legend(axes, entries, loc="upper right")
    return Drawing(image, numbers)


@figure(
    "gastpar2023.trade_off",
    caption=r"""A learner of parities that prefers a subspace of k dimensions: how often the best estimator misjudges it
    (left), and how often it learns a function of the subspace (right), for 4 points in 12 dimensions and 10 points in
    40. Lines: sums over laws of ranks. Markers: all functions listed for drawn samples, with standard errors. The error
    is hardest to estimate at k = n (dotted); up to there the learner learns, beyond it does not.""",
)
def trade_off(run: Run) -> Drawing:
    """Draw samples of parities, and list all functions for each."""
    replicates = run.size("replicates", quick=300, standard=3000, full=30_000)
    image, (panels,) = canvas(1, 2)
    entries: list[tuple[Any, str]] = []
    numbers: dict[str, Any] = {}
    for series, (d, n) in enumerate(((12, 4), (40, 10))):
        dimensions = np.arange(1, n + 7)
        found = np.array([generalization.linear_bias_tradeoff(d, int(k), n) for k in dimensions])
        numbers |= {f"dimensions_{d}": dimensions, f"lines_{d}": found}
        lines = [theory(axes, dimensions - n, found[:, i], series) for i, axes in enumerate(panels)]
        entries.append((lines[0], f"d = {d}, n = {n}"))
        if d == 12:
            columns = run.rng("samples").integers(0, 2**n, (replicates, d))
            values = np.stack(sim.learning_game(columns, dimensions, n=n, q=2), axis=-1)
            mean, error = values.mean(axis=0), values.std(axis=0) / np.sqrt(replicates)
            numbers |= {f"marks_{d}": mean, f"error_{d}": error}
            marks = [
                simulation(axes, dimensions - n, mean[:, i], series, error=error[:, i]) for i, axes in enumerate(panels)
            ]
            entries[-1] = ((lines[0], marks[0]), f"d = {d}, n = {n}")
    for axes in panels:
        reference(axes, [0, 0], [0, 1], linestyle=":")
        axes.set(xlabel="dimension of the preferred subspace less points, $k - n$")
    panels[0].set(ylabel="probability of failure $F$", ylim=(0, 0.35))
    panels[1].set(ylabel="probability of learning", ylim=(0, 1.03))
    legend(panels[1], entries, loc="upper right")
    return Drawing(image, numbers)
