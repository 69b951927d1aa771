"""Entropy of Gaussians whose variance is itself random, by quadrature over that variance and over the radius."""

from collections.abc import Callable

import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.scipy.special import gammaln
from jax.typing import ArrayLike

_HERMITE, _HERMITE_WEIGHTS = np.polynomial.hermite_e.hermegauss(60)
_LEGENDRE, _LEGENDRE_WEIGHTS = np.polynomial.legendre.leggauss(40)
PANELS, REACH = 24, 24.0

Mixing = Callable[[ArrayLike], tuple[Array, Array]]


def log_normal(variance: ArrayLike) -> tuple[Array, Array]:
    """Values and probabilities of a log-normal scale of mean 1."""
    sigma = jnp.sqrt(jnp.log1p(variance))
    return jnp.exp(sigma * _HERMITE - sigma**2 / 2), jnp.asarray(_HERMITE_WEIGHTS / _HERMITE_WEIGHTS.sum())


def gamma(variance: ArrayLike) -> tuple[Array, Array]:
    """Values and probabilities of a gamma-distributed scale of mean 1: its density on a grid in the logarithm."""
    shape = 1 / jnp.asarray(variance, dtype=float)
    spread = jnp.sqrt(variance)
    logs = 12 * spread * jnp.linspace(-1, 1, 241)
    log_density = shape * (logs - jnp.expm1(logs))
    density = jnp.exp(log_density)
    weights = density / density.sum()
    values = jnp.exp(logs)
    return values, weights


def two_point(variance: ArrayLike) -> tuple[Array, Array]:
    """Values and probabilities of a scale of mean 1 that takes two values, a third cumulant of variance^(3/2)."""
    spread = jnp.sqrt(variance)
    return 1 + spread * jnp.array([2.0, -0.5]), jnp.array([0.2, 0.8])


def negentropy(m: int, variance: ArrayLike, mixing: Mixing) -> Array:
    """Entropy in nats by which a mixture in m dimensions falls short of the Gaussian of its covariance.

    The mean over that Gaussian of (1 + x) log(1 + x) - x, with 1 + x the ratio of densities as a function of the
    radius: nothing cancels as the variance of the scale vanishes.
    """
    scales, probabilities = mixing(variance)
    starts = np.arange(PANELS)[:, None] * REACH / PANELS
    radii = (starts + REACH / (2 * PANELS) * (1 + _LEGENDRE)).ravel()
    lengths = np.tile(REACH / (2 * PANELS) * _LEGENDRE_WEIGHTS, PANELS)
    log_density = (m - 1) * np.log(radii) - radii**2 / 2 - (m / 2 - 1) * np.log(2) - gammaln(m / 2)
    exponent = -0.5 * m * jnp.log(scales) - 0.5 * radii[:, None] ** 2 * (1 / scales - 1)
    x = jnp.expm1(exponent) @ probabilities
    return jnp.sum(lengths * jnp.exp(log_density) * ((1 + x) * jnp.log1p(x) - x))


def mutual_information(m1: int, m2: int, variance: ArrayLike, mixing: Mixing) -> Array:
    """Information in nats that m1 neurons hold about m2 others of the same random variance."""
    both = negentropy(m1 + m2, variance, mixing)
    return both - negentropy(m1, variance, mixing) - negentropy(m2, variance, mixing)
