"""One layer of linear self-attention as it runs on a prompt, in the two conventions of the literature."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float, PRNGKeyArray


class Attention(NamedTuple):
    """Whether the query's token is among the keys and values, and whether the sum over tokens is divided by n."""

    query_attends: bool
    averaged: bool


SUMMED = Attention(query_attends=False, averaged=False)
AVERAGED = Attention(query_attends=True, averaged=True)


class LinearLayer(NamedTuple):
    """Weights: ``value`` (rows, d + 1), of which the last row writes the label, and ``key_query`` (d + 1, d + 1)."""

    value: Float[Array, "rows d+1"]
    key_query: Float[Array, "d+1 d+1"]


def random_linear_layer(key: PRNGKeyArray, dim: int, *, rows: int = 1, scale: float = 1.0) -> LinearLayer:
    """LinearLayer with independent Gaussian entries of standard deviation ``scale``, none of them left out."""
    first, second = jax.random.split(key)
    return LinearLayer(
        scale * jax.random.normal(first, (rows, dim + 1)), scale * jax.random.normal(second, (dim + 1, dim + 1))
    )


def random_starts(key: PRNGKeyArray, count: int, dim: int, *, rows: int = 1, scale: float = 1.0) -> LinearLayer:
    """Several random layers, stacked along the first axis."""
    return jax.vmap(lambda k: random_linear_layer(k, dim, rows=rows, scale=scale))(jax.random.split(key, count))


def two_block_layer(u_matrix: Float[Array, "d d"], u_scalar: Float[Array, ""] | float) -> LinearLayer:
    """LinearLayer of d + 1 rows with nothing but a last value entry and an upper left key-query block."""
    dim = u_matrix.shape[0]
    value = jnp.zeros((dim + 1, dim + 1)).at[dim, dim].set(u_scalar)
    return LinearLayer(value, jnp.zeros((dim + 1, dim + 1)).at[:dim, :dim].set(u_matrix))


def answer(
    layer: LinearLayer, x: Float[Array, "n d"], y: Float[Array, " n"], query: Float[Array, " d"], attention: Attention
) -> Float[Array, ""]:
    """Label slot of the query's token after the layer: token plus value projection of all tokens, weighted by score."""
    examples = jnp.concatenate([x, y[:, None]], axis=1)
    token = jnp.append(query, 0.0)
    tokens = jnp.concatenate([examples, token[None]]) if attention.query_attends else examples
    scores = tokens @ layer.key_query @ token
    if attention.averaged:
        scores = scores / x.shape[0]
    return (layer.value @ (scores @ tokens))[-1] + token[-1]
