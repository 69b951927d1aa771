"""Borup and Andersen 2021: fits of students, and what they keep along each direction."""

from typing import Any

import jax
import numpy as np

from figures.studio import Drawing, figure
from figures.style import canvas, legend, note, reference, simulation, theory
from paper_checks.claim import Run
from simulations import kernel_regression as sim
from theory import kernel_regression as kr

STEPS = (1, 2, 5, 10)
LONG = 1000  # stands for infinitely many in simulations
LABEL_WEIGHTS = (0.0, 0.3, 0.7)


def _names() -> list[str]:
    return [f"$t = {t}$" for t in STEPS] + [r"$t = \infty$"]


@figure(
    "borup2021.students",
    caption=r"""A sine (grey) learnt from 40 noisy points (dots) by the readout of a network with cosine features, ridge
    0.5, and then by its students, at three weights alpha of the labels. Lines: predictions of step t in closed form.
    Markers: networks trained step by step, with 1000 steps for infinitely many. Without labels (left) students forget
    everything; with labels they end at ridge regression with 0.5 / alpha.""",
)
def students(run: Run) -> Drawing:
    """Distil a network with random cosine features, and ask its generations on a grid."""
    n, width = run.size("points, features", quick=(40, 60), standard=(40, 200), full=(40, 500))
    rng = run.rng()
    frequency, phase = 5 * rng.standard_t(3, size=width), rng.uniform(0, 2 * np.pi, width)

    def features(x: np.ndarray) -> np.ndarray:
        return np.cos(np.outer(x, frequency) + phase) * np.sqrt(2 / width)

    x = np.linspace(0, 1, n)
    y = np.sin(2 * np.pi * x) + 0.4 * rng.normal(size=n)
    fine, marked = np.linspace(0, 1, 200), np.linspace(0.02, 0.98, 13)
    phi = features(x)
    image, (panels,) = canvas(1, 3, width=3.4, share_y=True)
    weights = np.repeat(np.array(LABEL_WEIGHTS)[:, None], LONG, axis=1)
    found = jax.vmap(sim.distil, in_axes=(None, None, None, 0))(phi, y, 0.5, weights).readouts
    numbers: dict[str, Any] = {"x": x, "y": y, "fine": fine, "marked": marked}
    for j, (axes, alpha) in enumerate(zip(panels, LABEL_WEIGHTS, strict=True)):
        reference(axes, fine, np.sin(2 * np.pi * fine))
        axes.plot(x, y, ".", color="0.6", markersize=3, zorder=1)
        readouts = np.asarray(found[j])[[*(t - 1 for t in STEPS), LONG - 1]]
        entries: list[tuple[Any, str]] = []
        lines, marks = [], []
        for k, (t, readout, name) in enumerate(zip((*STEPS, np.inf), readouts, _names(), strict=True)):
            curves = [
                kr.self_distillation_predict(features(at) @ phi.T, phi @ phi.T, y, ridge=0.5, alpha=alpha, steps=t)
                for at in (fine, marked)
            ]
            lines.append(curves[1])
            marks.append(features(marked) @ readout)
            entries.append(((theory(axes, fine, curves[0], k), simulation(axes, marked, marks[-1], k)), name))
        note(axes, rf"$\alpha = {alpha:g}$", 0.05, 0.06, transform=axes.transAxes)
        axes.set(xlabel="$x$")
        numbers |= {f"lines_{j}": np.array(lines), f"marks_{j}": np.array(marks)}
        if j == 2:
            legend(axes, entries, loc="upper right")
    panels[0].set(ylabel="prediction")
    return Drawing(image, numbers)


@figure(
    "borup2021.sparsification",
    caption=r"""Left: share of the labels that fits keep along an eigenvector of the Gram matrix, against its eigenvalue
    over the ridge, after t steps with weight 0.3 of the labels. Right: ratio of the shares along eigenvalues 4 and 1 of
    the ridge, against steps, at four weights. Without labels it grows without bound; with labels it overshoots its
    limit (grey), which it crosses at one and the same step for every weight (dotted). Lines: closed form; markers:
    readouts trained step by step.""",
)
def sparsification(run: Run) -> Drawing:
    """Distil readouts of features with prescribed singular values."""
    alpha = 0.3
    marked, fine = np.geomspace(0.05, 20, 9), np.geomspace(0.03, 30, 200)
    image, ((left, right),) = canvas(1, 2)
    numbers: dict[str, Any] = {"fine": fine, "marked": marked}
    fits = np.asarray(sim.distil(np.diag(np.sqrt(marked)), np.ones(9), 1.0, np.full(LONG, alpha)).fits)
    entries: list[tuple[Any, str]] = []
    for k, (t, name) in enumerate(zip((*STEPS, np.inf), _names(), strict=True)):
        line, on_marks = (kr.self_distillation_shrinkage(d, ridge=1.0, alpha=alpha, steps=t) for d in (fine, marked))
        kept = fits[LONG - 1 if np.isinf(t) else int(t) - 1]
        entries.append(((theory(left, fine, line, k), simulation(left, marked, kept, k)), name))
        numbers |= {f"share_{k}": on_marks, f"kept_{k}": kept}
    left.set(xscale="log", xlabel=r"eigenvalue over ridge, $d / \lambda$", ylabel="share of the labels kept, $b_t$")
    legend(left, entries, loc="upper left")

    steps, pair = np.arange(1, 13), np.array([4.0, 1.0])
    crossing = float(kr.self_distillation_crossing(*pair, ridge=1.0))
    reference(right, [crossing, crossing], [1.5, 6], linestyle=":")
    entries = []
    for k, weight in enumerate((0.0, 0.1, 0.3, 0.6)):
        shares = np.array([kr.self_distillation_shrinkage(pair, ridge=1.0, alpha=weight, steps=int(t)) for t in steps])
        ratio = shares[:, 0] / shares[:, 1]
        kept = np.asarray(sim.distil(np.diag(np.sqrt(pair)), np.ones(2), 1.0, np.full(len(steps), weight)).fits)
        found = kept[:, 0] / kept[:, 1]
        entries.append(
            ((theory(right, steps, ratio, k), simulation(right, steps, found, k)), rf"$\alpha = {weight:g}$")
        )
        numbers |= {f"ratio_{k}": ratio, f"found_{k}": found}
        if weight > 0:
            last = kr.self_distillation_shrinkage(pair, ridge=1.0, alpha=weight, steps=np.inf)
            reference(right, steps, np.full(len(steps), last[0] / last[1]))
            numbers[f"limit_{k}"] = last[0] / last[1]
    right.set(ylim=(1.3, 5), xlabel="steps $t$", ylabel="ratio of shares along two directions")
    legend(right, entries, loc="upper right")
    return Drawing(image, numbers | {"steps": steps, "crossing": crossing})
