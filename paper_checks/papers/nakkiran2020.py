"""Nakkiran, Venkat, Kakade and Ma 2020: at the best ridge more data never hurt, and double descent is gone."""

from collections.abc import Callable
from functools import cache, partial
from typing import Any

import numpy as np

from paper_checks.agreement import FiniteSize, Ordering
from paper_checks.claim import Paper, Run, Trial
from paper_checks.evidence import Array, Samples, Sizes
from simulations import kernel_regression as sim
from simulations.replicates import over_replicates
from theory import kernel_regression as theory

PAPER = Paper(
    key="nakkiran2020",
    title="Optimal regularization can mitigate double descent",
    authors="Preetum Nakkiran, Prayaag Venkat, Sham Kakade, Tengyu Ma",
    year=2020,
    arxiv="2003.01897",
    wing="kernel_regression",
)

SIGNAL, NOISE = 1.0, 0.3
FIXED = np.array([0.005, 0.01])
SHARES = np.array([1 / 4, 1 / 2, 2 / 3, 3 / 2, 2.0, 4.0])  # samples over features, either side of their equality
CURVE = np.array([1 / 4, 1 / 2, 1.0, 2.0, 4.0])


def _fits(run: Run, shares: Array, p: int, designs: int, most: int) -> sim.TunedRidge:
    """Fit the first rows of designs of p features, (designs, numbers of rows); all p up to ``most`` share a program."""
    labels, shape = sim.Labels(SIGNAL, NOISE, FIXED), (int(most * shares[-1]), most)
    return over_replicates(sim.tuned_ridge, run.keys(designs, f"{p}"), shares, np.array(p), labels, shape)


@PAPER.claim(
    "optimal-ridge-no-double-descent",
    statement=r"""For uncorrelated normal features the mean risk at the best ridge falls with every number of samples,
    also across n = p.""",
    source="theorem 1",
    agreement=Ordering(side="above"),
    controls=("ridge 0.005 for all sizes", "ridge 0.01 for all sizes"),
)
def optimal_ridge_no_double_descent(run: Run) -> Trial:
    """Tune ridges on nested designs, and take the gain from each number of samples to the next."""
    p = run.size("features", quick=48, standard=72, full=192)
    designs = run.size("designs", quick=1000, standard=2000, full=20_000)
    fits = cache(partial(_fits, run, SHARES, p, designs, p))

    def measure(risk: Callable[[sim.TunedRidge], Any] = lambda found: found.risk) -> Samples:
        return Samples(-np.diff(risk(fits()), axis=1))

    return Trial(
        predict=lambda: np.zeros(len(SHARES) - 1),
        measure=measure,
        counterexamples={
            "ridge 0.005 for all sizes": partial(measure, lambda found: found.fixed[..., 0]),
            "ridge 0.01 for all sizes": partial(measure, lambda found: found.fixed[..., 1]),
        },
        scale=1.0,
    )


@PAPER.claim(
    "risk-at-best-ridge",
    statement=r"""The risk at the best ridge is $\sigma^2 g\, m(-\sigma^2 g / r^2)$, g = p/n, on both sides of g = 1,
    with corrections of order 1/n; it rises with g, and in the limit too there is no peak.""",
    source="theorem 1 and figure 1, in the limit of Dobriban and Wager 2018",
    agreement=FiniteSize(exponent=1, second=2, of="limit", resolution=0.03),
    controls=("hardly a ridge", "ridge 0.01 for all sizes", "lambda = sigma^2 / r^2", "samples per feature"),
)
def risk_at_best_ridge(run: Run) -> Trial:
    """Tune ridges on drawn designs at sizes that double."""
    sizes = run.size("features", quick=(8, 16, 32, 64), standard=(8, 16, 32, 64), full=(32, 64, 128, 256))
    designs = run.size("designs", quick=300, standard=1200, full=10_000)
    g = 1 / CURVE

    def measure() -> Sizes:
        return Sizes(sizes, np.stack([_fits(run, CURVE, p, designs, max(sizes)).risk for p in sizes]))

    def at(ridge: Array | float) -> Array:
        return theory.ridge_risk_isotropic(ratio=g, ridge=ridge, signal=SIGNAL, noise_var=NOISE).total

    return Trial(
        predict=lambda: theory.optimal_ridge_isotropic(ratio=g, signal=SIGNAL, noise_var=NOISE).risk,
        measure=measure,
        controls={
            "hardly a ridge": lambda: at(1e-6),
            "ridge 0.01 for all sizes": lambda: at(0.01),
            "lambda = sigma^2 / r^2": lambda: at(NOISE / SIGNAL),
            "samples per feature": lambda: (
                theory.optimal_ridge_isotropic(ratio=CURVE, signal=SIGNAL, noise_var=NOISE).risk
            ),
        },
    )
