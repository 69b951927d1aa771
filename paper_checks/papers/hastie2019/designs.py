"""Designs of both kinds, and fits with and without a ridge, at sizes that double."""

from collections.abc import Callable

import numpy as np

from paper_checks.claim import Run
from paper_checks.evidence import Array, Sizes
from simulations import kernel_regression as sim
from simulations.replicates import over_replicates

SIGNAL, NOISE = 1.5, 0.7
RATIOS = (0.5, 1.0, 2.0)  # features over samples
RIDGES = np.array([0.5, 2.0])

# three levels of variances, the largest of which carry little of the signal
LEVELS, SHARES, ENERGIES = (0.3, 1.0, 4.0), (0.5, 0.25, 0.25), (0.3, 1.2, 0.2)


def isotropic(p: int, most: int) -> tuple[Array, Array]:
    """Variances of p features, zeros up to ``most``, and the coefficients of the first four; others have none."""
    return _filled(np.ones(p), most), np.sqrt(SIGNAL * np.array([0.4, 0.3, 0.2, 0.1]))


def levels(p: int, most: int) -> tuple[Array, Array]:
    """Variances and coefficients of p features on three levels; ``ENERGIES`` are squared lengths of the levels."""
    often = np.round(p * np.array(SHARES)).astype(int)
    energy = np.repeat(np.array(ENERGIES) / often, often)
    return _filled(np.repeat(LEVELS, often), most), _filled(np.sqrt(energy), most)


def _filled(values: Array, most: int) -> Array:
    return np.append(values, np.zeros(most - values.size))


Design = Callable[[int, int], tuple[Array, Array]]


def sizes_and_designs(run: Run) -> tuple[tuple[int, ...], int]:
    """Numbers of samples that double, and how many designs of each."""
    sizes = run.size("samples", quick=(8, 16, 32, 64), standard=(8, 16, 32, 64), full=(32, 64, 128, 256))
    return sizes, run.size("designs", quick=400, standard=1500, full=20_000)


def ridge_fits(run: Run, design: Design) -> Sizes:
    """Fit designs at all ridges: bias and variance, (sizes, designs, ratios, 2, ridges)."""
    sizes, designs = sizes_and_designs(run)
    most = max(sizes)
    found = []
    for n in sizes:
        parts = []
        for g in RATIOS:
            keys, problem = run.keys(designs, f"{n} {g}"), design(round(g * n), round(g * most))
            fit = over_replicates(sim.ridge_parts, keys, *problem, RIDGES, np.array(n), most)
            parts.append(np.stack([fit.bias, NOISE * fit.variance], axis=1))
        found.append(np.stack(parts, axis=1))
    return Sizes(sizes, np.stack(found))


def least_norm_fits(run: Run, shapes: list[tuple[int, int]], designs: int, design: Design) -> Array:
    """Fit designs of the given samples and features without a ridge: bias and variance, (designs, shapes, 2)."""
    found = []
    for n, p in shapes:
        alike = [(a, b) for a, b in shapes if (a < b) == (n < p)]
        rows, features = (max(sizes) for sizes in zip(*alike, strict=True))
        keys = run.keys(designs, f"{n} {p}")
        fit = over_replicates(sim.least_norm_parts, keys, *design(p, features), np.array(n), rows, n < p)
        found.append(np.stack([fit.bias, NOISE * fit.variance], axis=1))
    return np.stack(found, axis=1)
