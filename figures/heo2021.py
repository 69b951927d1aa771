"""Heo et al. 2021: momentum lengthens scale-invariant weights, and projection undoes it."""

from typing import Any

import numpy as np

from figures.studio import Drawing, figure
from figures.style import canvas, legend, simulation, theory
from paper_checks.claim import Run
from simulations import optimization as sim
from theory import optimization


@figure(
    "heo2021.norm_growth",
    caption=r"""Squared norm of scale-invariant weights (a Rayleigh quotient being minimised), over that at the start,
    against the number of steps: gradient descent, momentum 0.9, and momentum whose updates are projected on the
    tangent space. Markers: weights as trained (no randomness enters after the problem is drawn); lines: the norm
    predicted from the norms of the updates alone, each of which is counted (1 + beta) / (1 - beta) times in the long
    run unless projection takes the radial part away. The step size that the direction feels falls as the inverse of
    what is shown.""",
)
def norm_growth(run: Run) -> Drawing:
    """Train with and without momentum and projection."""
    d, steps = run.size("dimension and steps", quick=(10, 300), standard=(50, 1000), full=(500, 10_000))
    rng = run.rng()
    root = rng.normal(size=(d, d)) / np.sqrt(d)
    start = rng.normal(size=d)
    start /= np.linalg.norm(start)
    rate = 0.05
    runs = (("gradient descent", 0.0, False), ("momentum", 0.9, False), ("momentum, projected", 0.9, True))

    image, ((axes,),) = canvas()
    shown = np.unique(np.linspace(0, steps, 25).astype(int))
    entries: list[tuple[Any, str]] = []
    numbers: dict[str, Any] = {"shown": shown}
    for k, (name, momentum, project) in enumerate(runs):
        out = sim.momentum_descent(
            sim.rayleigh_quotient,
            root + root.T,
            start,
            learning_rate=rate,
            momentum=momentum,
            n_steps=steps,
            project=project,
        )
        weights, updates = np.asarray(out.weights), np.asarray(out.updates)
        if project:
            before = weights[:-1]
            radial = np.sum(before * updates, axis=1) / np.sum(before**2, axis=1)
            updates = updates - radial[:, None] * before
        squares = np.sum(updates**2, axis=1)
        growth = optimization.momentum_norm_growth(squares, learning_rate=rate, momentum=0.0 if project else momentum)
        found = np.sum(weights**2, axis=1)
        line = theory(axes, np.arange(steps + 1), 1 + growth, k)
        entries.append(((line, simulation(axes, shown, found[shown], k)), name))
        numbers |= {f"predicted_{k}": 1 + growth, f"measured_{k}": found}
    axes.set(yscale="log", xlabel="step", ylabel=r"$\|w_t\|^2 / \|w_0\|^2$")
    legend(axes, entries, loc="center right")
    return Drawing(image, numbers)
