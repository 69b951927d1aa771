"""The paper to which the modules beside this one attach their claims, and the activations that they share."""

from typing import NamedTuple

import numpy as np

from paper_checks.claim import Paper, Run
from simulations import ntk as sim

Array = np.ndarray

PAPER = Paper(
    key="radhakrishnan2022",
    title="Wide and Deep Neural Networks Achieve Optimality for Classification",
    authors="Adityanarayanan Radhakrishnan, Mikhail Belkin, Caroline Uhler",
    year=2023,
    arxiv="2204.14126",
    wing="ntk",
)


def unit(weights: Array) -> Array:
    """Return coefficients of unit norm whose squares are in the proportion of ``weights``."""
    return np.sqrt(weights / weights.sum())


def singular(run: Run, name: str = "problem", low: float = 0.2, high: float = 0.5) -> Array:
    """Draw coefficients up to degree four without a mean, with q between two bounds."""
    rng = run.rng(name)
    q = rng.uniform(low, high)
    rest = rng.uniform(0.1, 1.0, 3)
    return unit(np.array([0.0, q, *((1 - q) * rest / rest.sum())])) * rng.choice([-1.0, 1.0], 5)


def printed(d: int) -> Array:
    """Return coefficients of the activation that the paper recommends for dimension d."""
    if d == 1:
        return np.sqrt([0, 0.5, 0, 0, 0, 0, 0, 0.5])
    return np.array([0, 2 ** (-d / 4), np.sqrt(1 - 2 ** (1 - d / 2)), 2 ** (-d / 4)])


class Kernels(NamedTuple):
    """Logarithms of both kernels after 0, 1, ..., depth layers."""

    nngp: Array
    ntk: Array


def deep_kernels(one_minus_rho: Array, coeffs: Array, depth: int) -> Kernels:
    """Iterate both kernels by quadrature."""
    found = sim.polynomial_kernels(one_minus_rho, coeffs, depth=depth)
    return Kernels(np.asarray(found.nngp), np.asarray(found.ntk))
