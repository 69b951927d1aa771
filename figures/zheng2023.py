"""Zheng et al. 2023: errors of a generative and of a discriminative classifier of two Gaussian classes."""

from typing import Any

import numpy as np

from figures.studio import Drawing, figure
from figures.style import canvas, legend, reference, simulation, theory
from paper_checks.claim import Run
from simulations import generalization as sim
from theory import generalization


@figure(
    "zheng2023.error",
    caption=r"""Test error against dimensions per point, for two Gaussian classes at a signal of 1.5. Lines: limits of
    many points and dimensions, for the class mean and for least squares, which tends to a coin as gamma tends to 1.
    Markers: both trained on 60 drawn points, with the exact error of the trained weights, and standard errors. Dotted:
    the best classifier.""",
)
def error(run: Run) -> Drawing:
    """Train both classifiers in several dimensions."""
    replicates = run.size("replicates", quick=200, standard=2000, full=20_000)
    delta, n = 1.5, 60
    dimensions = np.array(
        run.size("d", quick=[6, 24, 48], standard=[3, 12, 24, 36, 48, 57], full=[3, 12, 24, 36, 48, 57])
    )
    found = [
        sim.train_linear_classifiers(run.keys(replicates, f"{d}"), n, np.full(d, delta / np.sqrt(d)), np.ones(d))
        for d in dimensions
    ]
    mean = np.mean(found, axis=-1).T
    spread = np.std(found, axis=-1).T / np.sqrt(replicates)
    gamma = np.linspace(0, 0.999, 400)
    image, ((axes,),) = canvas()
    entries: list[tuple[Any, str]] = []
    numbers: dict[str, Any] = {"gamma": gamma, "dimensions": dimensions, "marks": mean, "error": spread}
    solvers = (generalization.generative_error, generalization.discriminative_error)
    for series, (name, solver) in enumerate(zip(("class mean", "least squares"), solvers, strict=True)):
        line = solver(delta, gamma)
        handles = (
            theory(axes, gamma, line, series),
            simulation(axes, dimensions / n, mean[series], series, error=spread[series]),
        )
        entries.append((handles, name))
        numbers |= {f"line_{series}": line, f"on_marks_{series}": solver(delta, dimensions / n)}
    reference(axes, [0, 1], np.full(2, generalization.generative_error(delta, 0.0)), linestyle=":")
    axes.set(xlabel=r"dimensions per point $\gamma$", ylabel="test error", ylim=(0, 0.5), xlim=(0, 1))
    legend(axes, entries, loc="upper left")
    return Drawing(image, numbers)
