"""Stacks of attention layers with given weights, run on the tokens of a prompt.

A token is a column. A layer adds, for each head, V H (mask * act((K H)^T (Q H))) to the tokens H; the mask says which
key, a row, each query position, a column, may see.
"""

from collections.abc import Sequence
from typing import Any, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike
from jaxtyping import Float

from simulations import validation

Head = tuple[Any, Any, Any]
_ACTIVATIONS = {"linear": lambda scores: scores, "relu": jax.nn.relu}


def run_layers(
    tokens: ArrayLike,
    layers: Sequence[Sequence[Head]],
    mask: ArrayLike,
    *,
    activation: Literal["linear", "relu"] = "linear",
) -> Float[Array, "states width tokens"]:
    """Tokens before the first layer and after each.

    Parameters
    ----------
    tokens : array_like, shape (D, N)
        One prompt.
    layers : sequence of sequences of (V, K, Q)
        Heads of each layer, equally many in all: V (D, D), K and Q (size, D).
    mask : array_like, shape (N, N)
        1 where the key in that row is seen from the position in that column, else 0.
    activation : {"linear", "relu"}
        Applied to the scores.

    Raises
    ------
    ValueError
        If shapes do not match, layers differ in their number of heads, or the activation is unknown.
    """
    return run_layers_batch(validation.finite("tokens", tokens, ndim=2)[None], layers, mask, activation=activation)[0]


def run_layers_batch(
    tokens: ArrayLike,
    layers: Sequence[Sequence[Head]],
    mask: ArrayLike,
    *,
    activation: Literal["linear", "relu"] = "linear",
) -> Float[Array, "prompts states width tokens"]:
    """Run `run_layers` on several prompts of equal size, tokens (prompts, D, N)."""
    validation.choice("activation", activation, list(_ACTIVATIONS))
    H = validation.finite("tokens", tokens, ndim=3)
    if len({len(layer) for layer in layers}) != 1:
        raise ValueError(f"layers must have equally many heads; got {[len(layer) for layer in layers]}")
    V, K, Q = (jnp.asarray(np.array([[head[i] for head in layer] for layer in layers], dtype=float)) for i in range(3))
    width, count = H.shape[1:]
    if V.shape[2:] != (width, width) or K.shape != Q.shape or K.shape[-1] != width:
        raise ValueError(f"layers must act on tokens of width {width}; got V {V.shape}, K {K.shape}, Q {Q.shape}")
    visible = validation.finite("mask", mask, ndim=2)
    if visible.shape != (count, count):
        raise ValueError(f"mask must have shape {(count, count)}; got {visible.shape}")
    return _run(H, (V, K, Q), visible, activation)


@eqx.filter_jit
def _run(tokens: Array, weights: tuple[Array, Array, Array], mask: Array, activation: str) -> Array:
    act = _ACTIVATIONS[activation]

    def layer(H: Array, heads: tuple[Array, Array, Array]) -> tuple[Array, Array]:
        V, K, Q = heads
        keys, queries = jnp.einsum("hsd,pdn->phsn", K, H), jnp.einsum("hsd,pdm->phsm", Q, H)
        scores = mask * act(jnp.einsum("phsn,phsm->phnm", keys, queries))
        H = H + jnp.einsum("hcd,pdn,phnm->pcm", V, H, scores)
        return H, H

    path = jax.lax.scan(layer, tokens, weights)[1]
    return jnp.moveaxis(jnp.concatenate([tokens[None], path]), 0, 1)


def hide_last(count: int) -> np.ndarray:
    """Mask of a prompt of ``count`` tokens whose last one, the query, is no key for anybody."""
    mask = np.ones((count, count))
    mask[-1] = 0.0
    return mask


def see_all(count: int) -> np.ndarray:
    """Mask under which every token is a key for everybody."""
    return np.ones((count, count))


def see_the_past(count: int) -> np.ndarray:
    """Causal mask: a token sees itself and what came before, but not the query, which comes last."""
    return np.triu(np.ones((count, count))) * hide_last(count)


def prompt_tokens(x: ArrayLike, y: ArrayLike, query: ArrayLike, *, scratch: int, embed: float = 0.0) -> np.ndarray:
    """Tokens [x, scratch rows, y] of a prompt, the query last with 0 for y; shape (d + scratch + 1, n + 1).

    The last d scratch rows hold ``embed`` times x, the others zeros.
    """
    inputs = np.concatenate([np.asarray(x, dtype=float), np.asarray(query, dtype=float)[None]]).T
    d, count = inputs.shape
    if scratch < d:
        raise ValueError(f"scratch must be at least the {d} input dimensions; got {scratch}")
    rows = np.zeros((scratch, count))
    rows[scratch - d :] = embed * inputs
    answers = np.append(np.asarray(y, dtype=float), 0.0)
    return np.concatenate([inputs, rows, answers[None]])


def with_keys(tokens: ArrayLike, *, dimension: int) -> np.ndarray:
    """Insert, after the x rows, d rows that copy x in the examples and are zero in the query."""
    H = np.asarray(tokens, dtype=float)
    keys = H[:dimension].copy()
    keys[:, -1] = 0.0
    return np.concatenate([H[:dimension], keys, H[dimension:]])


def descent_layers(dimension: int, *, steps: int, rate: float) -> list[list[Head]]:
    """Linear attention that takes one step of gradient descent a layer.

    Tokens are [x, any scratch of d rows, y - x.w]: each layer subtracts rate * sum_i (y_i - x_i.w) x_i.x from the last
    row of all tokens, so that minus that row of the query is its prediction.
    """
    d = validation.integer("dimension", dimension, minimum=1)
    width = 2 * d + 1
    value, reads = np.zeros((width, width)), np.eye(d, width)
    value[-1, -1] = -rate
    return [[(value, reads, reads)] for _ in range(validation.integer("steps", steps, minimum=1))]
