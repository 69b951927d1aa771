"""Means over a pair of correlated Gaussians by quadrature in polar coordinates, kink or no kink at zero."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike

from simulations.ntk.networks import Function

REACH = 9.0  # exp(-REACH^2 / 2) is 3e-18
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(40)
_PANELS = 2


def pair_mean(function: Callable[[Array, Array], Array], k11: ArrayLike, k12: ArrayLike, k22: ArrayLike) -> Array:
    """Mean of ``function(u, v)`` for zero-mean Gaussians with these second moments.

    Two panels of 40 Gauss-Legendre nodes along the radius, four arcs of 40 between the lines u = 0 and v = 0.
    """
    k11, k12, k22 = (jnp.asarray(k, dtype=float) for k in (k11, k12, k22))
    theta = jnp.arctan2(jnp.sqrt(jnp.maximum(k11 * k22 - k12**2, 0.0)), k12)
    edges = jnp.array([-jnp.pi / 2, 0.0, jnp.pi / 2, jnp.pi]) + jnp.array([0.0, -jnp.pi / 2, 0.0, -jnp.pi / 2])
    edges = edges + jnp.array([0.0, 1.0, 0.0, 1.0]) * theta  # -pi/2, theta - pi/2, pi/2, theta + pi/2
    ends = jnp.append(edges[1:], edges[0] + 2 * jnp.pi)
    half = (ends - edges)[:, None] / 2
    angles = (edges[:, None] + half * (1 + _NODES)).ravel()
    along = (half * _WEIGHTS).ravel() / (2 * jnp.pi)
    starts = np.arange(_PANELS)[:, None] * REACH / _PANELS
    radii = (starts + REACH / (2 * _PANELS) * (1 + _NODES)).ravel()[:, None]
    radial = np.tile(REACH / (2 * _PANELS) * _WEIGHTS, _PANELS)[:, None] * radii * np.exp(-0.5 * radii**2)
    u = jnp.sqrt(k11) * radii * jnp.cos(angles)
    v = jnp.sqrt(k22) * radii * jnp.cos(angles - theta)
    return jnp.sum(radial * along * function(u, v))


def moments(activation: Function, k11: ArrayLike, k12: ArrayLike, k22: ArrayLike) -> Array:
    """Return E[phi(u) phi(v)] and E[phi'(u) phi'(v)], stacked."""

    def slope(z: Array) -> Array:
        return jax.jvp(activation, (z,), (jnp.ones_like(z),))[1]

    def both(u: Array, v: Array) -> Array:
        return jnp.stack([activation(u) * activation(v), slope(u) * slope(v)])

    value = pair_mean(lambda u, v: both(u, v)[0], k11, k12, k22)
    derivative = pair_mean(lambda u, v: both(u, v)[1], k11, k12, k22)
    return jnp.stack([value, derivative])


def deep_kernels(activation: Function, first: ArrayLike, *, n_hidden: int, weight_std: float, bias_std: float) -> Array:
    """Iterate both kernels of a pair of inputs through the layers by quadrature alone.

    ``first`` holds the first layer's (k11, k12, k22). Returns NNGP and tangent kernel of networks with 0, ..., n_hidden
    hidden layers, shape (n_hidden + 1, 2, 3).
    """

    def step(kernels: Array, _: None) -> tuple[Array, Array]:
        k, theta = kernels
        means = jnp.stack([moments(activation, *pair) for pair in ((k[0], k[0], k[0]), k, (k[2], k[2], k[2]))])
        after = weight_std**2 * means[:, 0] + bias_std**2
        following = jnp.stack([after, after + weight_std**2 * means[:, 1] * theta])
        return following, following

    start = jnp.tile(jnp.asarray(first, dtype=float), (2, 1))
    _, later = jax.lax.scan(step, start, None, length=n_hidden)
    return jnp.concatenate([start[None], later])
