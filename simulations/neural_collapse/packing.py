"""Directions that repel each other until they are as far apart as they can be."""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike
from jaxtyping import Float

from simulations import validation
from simulations.neural_collapse.minimise import minimise_from


class Packing(NamedTuple):
    """Unit vectors (R, dim, K), the energy that they minimise (R,), and its largest gradient entry (R,)."""

    vectors: Float[Array, "replicates dim classes"]
    energy: Float[Array, " replicates"]
    gradient: Float[Array, " replicates"]


def random_directions(key: Array, num_vectors: int, dim: int, *, replicates: int) -> Float[Array, "replicates dim k"]:
    """Draw independent uniform unit vectors, K a replicate."""
    k = validation.integer("num_vectors", num_vectors, minimum=2)
    d = validation.integer("dim", dim, minimum=1)
    count = validation.integer("replicates", replicates, minimum=1)
    return _normalised(jax.random.normal(key, (count, d, k)))


def repel(vectors: ArrayLike, *, sharpness: ArrayLike) -> Packing:
    r"""Minimise :math:`\frac1\beta \log \operatorname{mean}_{k \ne l} e^{\beta \cos(v_k, v_l)}` from given vectors.

    The energy lies between the mean and the largest of the pairwise cosines, nearer to the latter the larger beta is.

    Parameters
    ----------
    vectors : array_like, shape (R, dim, K)
        Starts, none zero; only directions matter.
    sharpness : float
        beta > 0.

    Raises
    ------
    ValueError
        If an argument is out of range, or there are fewer than two vectors.
    """
    starts = validation.finite("vectors", vectors, ndim=3)
    if starts.shape[2] < 2:
        raise ValueError(f"vectors must hold at least two vectors; got shape {starts.shape}")
    validation.require("vectors", jnp.sum(starts**2, axis=1), lambda squares: squares > 0, "different from zero")
    return _repel(starts, validation.positive("sharpness", sharpness, ndim=0))


@eqx.filter_jit
def _repel(starts: Array, sharpness: Array) -> Packing:
    def one(start: Array) -> Packing:
        end, gradient, _ = minimise_from(_energy, start, sharpness)
        return Packing(_normalised(end), _energy(end, sharpness), gradient)

    return jax.vmap(one)(_normalised(starts))


def _energy(vectors: Array, sharpness: Array) -> Array:
    k = vectors.shape[1]
    directions = _normalised(vectors)
    cosines = (directions.T @ directions)[jnp.triu_indices(k, 1)]
    return (jax.nn.logsumexp(sharpness * cosines) - jnp.log(k * (k - 1) / 2)) / sharpness


def _normalised(vectors: Array) -> Array:
    return vectors / jnp.sqrt(jnp.sum(vectors**2, axis=-2, keepdims=True))
