"""Wu and Su 2023: where SGD stops being stable, between the trace and the top of the Hessian."""

from typing import Any

import numpy as np

from figures.studio import Drawing, figure
from figures.style import canvas, legend, reference, simulation, theory
from paper_checks.claim import Run
from simulations import optimization as sim
from theory import optimization


@figure(
    "wu2023.stable_step_sizes",
    caption=r"""Largest step size at which SGD on Gaussian features is stable in mean square, over that of gradient
    descent, 2 / lambda_max, against the batch size B. Markers: bisection on the exact second moment, every batch
    enumerated (mean and standard deviation over draws of the features); solid line: the closed form, averaged over
    the same draws; dashed: the refined trace bound; grey: 2 B / tr H. Small batches are held to the trace of the
    Hessian, large ones to its top.""",
)
def stable_step_sizes(run: Run) -> Drawing:
    """Bisect for thresholds at several batch sizes, over draws of the features."""
    draws = run.size("draws", quick=40, standard=400, full=4000)
    simulated, curve = np.array([1, 2, 3, 4]), 2 ** np.arange(9)
    features = run.rng().normal(size=(draws, 5, 3))
    top = np.linalg.norm(features, ord=2, axis=(1, 2)) ** 2 / 5
    trace = np.sum(features**2, axis=(1, 2)) / 5

    found = np.stack([sim.exact_mean_square_threshold(features, batch_size=int(B)) * top / 2 for B in simulated])
    exact, bound = (
        np.array([[solve(x, batch_size=int(B)) for x in features] for B in curve]) * top / 2
        for solve in (optimization.critical_learning_rate, optimization.trace_bound)
    )
    plain = np.outer(curve, 2 / trace) * top / 2

    image, ((axes,),) = canvas()
    marks = simulation(axes, simulated, found.mean(axis=1), 0, error=found.std(axis=1, ddof=1))
    entries: list[tuple[Any, str]] = [
        ((theory(axes, curve, exact.mean(axis=1), 0), marks), "stable in mean square"),
        (theory(axes, curve, bound.mean(axis=1), 1), "refined trace bound"),
        (reference(axes, curve, plain.mean(axis=1)), r"$2 B / \mathrm{tr} H$"),
        (reference(axes, curve, np.ones(len(curve)), linestyle=":"), "gradient descent"),
    ]
    axes.set(
        xscale="log", yscale="log", ylim=(0.25, 4), xlabel="batch size $B$", ylabel=r"$\eta_c\, \lambda_{\max} / 2$"
    )
    axes.set_xticks(curve, [f"{B}" for B in curve])
    axes.set_yticks([0.5, 1, 2, 4], ["0.5", "1", "2", "4"])
    axes.minorticks_off()
    legend(axes, entries, loc="lower right")
    numbers = {"batch": curve, "exact": exact, "bound": bound, "plain": plain}
    return Drawing(image, numbers | {"simulated_batch": simulated, "measured": found})
