"""Fits between data: nearest neighbours on a torus, lines between points of an interval, multilinear maps on grids."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike
from jaxtyping import Float, PRNGKeyArray

from simulations import validation


class Neighbour(NamedTuple):
    """Squared distance of a query to the nearest data point, and squared error of copying the target from there."""

    distance_sq: Float[Array, ""]
    error_sq: Float[Array, ""]


def nearest_neighbour(key: PRNGKeyArray, n_points: int, dim: int, queries: int) -> Neighbour:
    r"""Draw uniform points on the unit torus and queries, and copy :math:`\sum_j \sin 2 \pi x_j` from nearest points.

    Means over the queries of one set of points. Costs O(n_points queries dim).
    """
    for_points, for_queries = jax.random.split(key)
    points = jax.random.uniform(for_points, (n_points, dim))
    asked = jax.random.uniform(for_queries, (queries, dim))
    apart = jnp.abs(asked[:, None] - points)
    distances = jnp.sum(jnp.minimum(apart, 1 - apart) ** 2, axis=2)
    nearest = points[jnp.argmin(distances, axis=1)]
    wrong = jnp.sum(jnp.sin(2 * jnp.pi * asked) - jnp.sin(2 * jnp.pi * nearest), axis=1)
    return Neighbour(jnp.mean(jnp.min(distances, axis=1)), jnp.mean(wrong**2))


def piecewise_linear_error(key: PRNGKeyArray, n_points: int, second_derivative: ArrayLike) -> Float[Array, ""]:
    """Mean squared error on [0, 1] of lines between uniform points, and both ends, on a parabola.

    Each gap is integrated by three Gauss nodes, which are exact. Costs O(n log n).
    """
    inside = jax.random.uniform(key, (n_points,))
    x = jnp.sort(jnp.concatenate([jnp.array([0.0, 1.0]), inside]))

    c = jnp.asarray(second_derivative)

    def target(at: Array) -> Array:
        return 0.5 * c * at**2 - 0.3 * at

    nodes, weights = (jnp.asarray(part) / 2 for part in np.polynomial.legendre.leggauss(3))
    gaps = jnp.diff(x)
    at = x[:-1, None] + gaps[:, None] * (0.5 + nodes)
    wrong = jnp.interp(at, x, target(x)) - target(at)
    return jnp.sum(gaps[:, None] * weights * wrong**2)


def multilinear_error(cells: int, dim: int, *, nodes: int = 4) -> float:
    r"""Mean squared error of the multilinear map through the corners of a grid, of :math:`\prod_j \sin 2 \pi x_j`.

    The cube has cells^dim cells, and each is integrated by Gauss nodes along every axis. Costs O((cells nodes)^dim).
    """
    validation.integer("cells", cells, minimum=1)
    validation.integer("dim", dim, minimum=1)
    places, weights = np.polynomial.legendre.leggauss(nodes)
    at = (np.arange(cells)[:, None] + 0.5 + places / 2).ravel()
    corners = np.sin(2 * np.pi * np.arange(cells + 1) / cells)
    along, exact = np.interp(at, np.arange(cells + 1), corners), np.sin(2 * np.pi * at / cells)
    share = np.tile(weights / 2, cells) / cells
    linear = np.ones(())
    target = np.ones(())
    measure = np.ones(())
    for _ in range(dim):  # a multilinear map of a product is the product of the lines
        linear, target, measure = (
            np.multiply.outer(a, b) for a, b in ((linear, along), (target, exact), (measure, share))
        )
    return float(np.sum(measure * (linear - target) ** 2))
