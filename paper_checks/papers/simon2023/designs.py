"""Designs of Gaussian modes on two levels, with random features or without, and ridge regression on them."""

import numpy as np

from paper_checks.claim import Run
from paper_checks.evidence import Array
from simulations import kernel_regression as sim
from simulations.replicates import over_replicates

NOISE = 0.2
SHAPE = (2, 3, 5)  # samples, features and modes, in units of the size


def levels(modes: int) -> tuple[Array, Array]:
    """Two levels of eigenvalues and coefficients, the first holding a fifth of the modes."""
    first = modes // 5
    rest = modes - first
    return (
        np.concatenate([np.full(first, 4 / modes), np.full(rest, 0.5 / modes)]),
        np.concatenate([np.full(first, 3 / modes), np.full(rest, 0.5 / modes)]),
    )


def sizes_and_designs(run: Run) -> tuple[tuple[int, ...], int]:
    """Sizes that double, and how many designs are drawn of each."""
    sizes = run.size("sizes", quick=(4, 8, 16, 32), standard=(8, 16, 32, 64), full=(16, 32, 64, 128))
    return sizes, run.size("designs", quick=2000, standard=3000, full=20_000)


def fit_designs(run: Run, c: int, designs: int, ridges: Array, shape: tuple[int, int | None]) -> sim.RidgeFit:
    """Fit drawn designs of size c; ``shape`` is samples and features in units of it."""
    n, k = shape
    spectrum = levels(SHAPE[2] * c)
    keys = run.keys(designs, f"{c} {shape}")
    return over_replicates(sim.gaussian_ridge, keys, *spectrum, ridges, NOISE, n * c, k and k * c)
