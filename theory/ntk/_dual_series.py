"""The dual of an activation as a power series, given by Hermite coefficients of unit norm, in log rho."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from theory.validation import finite

Array = NDArray[np.float64]

UNIT = 1e-9  # how far the norm of coefficients may be from one
ABSENT = 1e-14  # coefficients that are rounding


class DualSeries:
    """The dual as a map of log rho, with the terms that are there."""

    def __init__(self, weights: Array):
        self.powers = np.flatnonzero(weights)
        self.weights = weights[self.powers]

    def step(self, log_rho: Array) -> tuple[Array, Array]:
        """Return log s and r = rho s' / s."""
        exponents = multiples(log_rho, self.powers)
        lost = np.expm1(exponents) @ self.weights  # s - 1
        terms = exponents + np.log(self.weights)
        top = np.max(terms, axis=-1)
        top = np.where(np.isneginf(top), 0.0, top)
        with np.errstate(divide="ignore"):
            small = top + np.log(np.exp(terms - top[..., None]).sum(axis=-1))
        after = np.where(lost > -0.5, np.log1p(np.maximum(lost, -0.5)), small)
        vanished = np.isneginf(after)
        shares = np.exp(terms - np.where(vanished, 0.0, after)[..., None])
        return after, np.where(vanished, float(self.powers[0]), shares @ self.powers)


def multiples(log_rho: Array, powers: NDArray[np.intp]) -> Array:
    """Return powers times log rho on a new last axis, with 0 times -inf = 0."""
    log_rho = log_rho[..., None]
    with np.errstate(over="ignore"):
        return np.multiply(log_rho, powers, out=np.zeros((*log_rho.shape[:-1], powers.size)), where=powers > 0)


def coefficients(coeffs: ArrayLike) -> Array:
    """Return Hermite coefficients, at least one and all finite, or raise ValueError."""
    c = finite("coeffs", coeffs, ndim=1)
    if c.size == 0:
        raise ValueError("coeffs must hold at least one number; got none")
    return c


def unit_weights(coeffs: ArrayLike) -> Array:
    """Return squared coefficients that add up to one."""
    c = coefficients(coeffs)
    weights = np.where(np.abs(c) > ABSENT, c, 0.0) ** 2
    total = float(weights.sum())
    if abs(total - 1) > UNIT:
        raise ValueError(f"coeffs must have unit norm; got a sum of squares of {total:.12g}")
    return weights / total


def slope_at_one(weights: Array) -> float:
    """Return B' = s'(1)."""
    return float(np.arange(weights.size) @ weights)
