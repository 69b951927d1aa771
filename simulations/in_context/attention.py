r"""Linear self-attention as it runs: tokens in, keys, queries, values, a projection, tokens out.

Tokens are the rows of a matrix. One layer, with a residual connection, computes

.. math:: e_j \leftarrow e_j + P W_V \sum_i m_{ji} \, e_i \, (W_K e_i)^* (W_Q e_j),

the mask m saying which tokens each token sees, and with which weight. No softmax, unless asked for. Tokens may be
complex, the adjoint then conjugates.
"""

from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike
from jaxtyping import Float, Inexact, Key

from simulations import validation


class Layer(eqx.Module):
    """Matrices of one attention layer, or of several stacked on a leading axis.

    Attributes
    ----------
    key, query : array, shape (..., size, width)
        W_K and W_Q.
    value : array, shape (..., inner, width)
        W_V.
    projection : array, shape (..., width, inner)
        P.
    """

    key: Float[Array, "... size width"]
    query: Float[Array, "... size width"]
    value: Float[Array, "... inner width"]
    projection: Float[Array, "... width inner"]

    def __check_init__(self) -> None:
        """Refuse matrices that do not fit together."""
        width = self.key.shape[-1]
        if self.query.shape != self.key.shape:
            raise ValueError(f"query must have the shape of key, {self.key.shape}; got {self.query.shape}")
        if self.value.shape[-1] != width:
            raise ValueError(f"value must have {width} columns, the width of a token; got shape {self.value.shape}")
        if self.projection.shape != (*self.value.shape[:-2], width, self.value.shape[-2]):
            expected = (*self.value.shape[:-2], width, self.value.shape[-2])
            raise ValueError(f"projection must have shape {expected}; got {self.projection.shape}")


def make_layer(key: ArrayLike, query: ArrayLike, value: ArrayLike, projection: ArrayLike) -> Layer:
    """Return a layer of float64 matrices, or raise ValueError that names the one that is not finite or does not fit."""
    named = {"key": key, "query": query, "value": value, "projection": projection}
    arrays = {name: validation.finite(name, matrix) for name, matrix in named.items()}
    for name, matrix in arrays.items():
        if matrix.ndim < 2:
            raise ValueError(f"{name} must be a matrix, or matrices stacked; got shape {matrix.shape}")
    return Layer(**arrays)


def random_layer(key: Key[Array, ""], *, width: int, std: float = 1.0, n_layers: int | None = None) -> Layer:
    """Return square matrices of independent N(0, std^2 / width) entries; ``n_layers`` of them stacked when given."""
    width = validation.integer("width", width, minimum=1)
    shape: tuple[int, ...] = (width, width)
    if n_layers is not None:
        shape = (validation.integer("n_layers", n_layers, minimum=1), *shape)
    scale = jnp.asarray(std) / jnp.sqrt(width)
    return Layer(*(scale * jax.random.normal(part, shape) for part in jax.random.split(key, 4)))


def repeat(layer: Layer, n_layers: int) -> Layer:
    """Stack ``n_layers`` copies of one layer."""
    count = validation.integer("n_layers", n_layers, minimum=1)
    return jax.tree.map(lambda matrix: jnp.broadcast_to(matrix, (count, *matrix.shape)), layer)


def context_mask(n_tokens: int, n_context: int) -> Float[Array, " tokens"]:
    """Mask under which every token sees the first ``n_context`` tokens and no others."""
    context = validation.integer("n_context", n_context, minimum=0)
    return (jnp.arange(validation.integer("n_tokens", n_tokens, minimum=max(1, context))) < context).astype(float)


def attention(
    layer: Layer, tokens: Inexact[Array, "tokens width"], mask: Float[Array, "..."], *, softmax: bool = False
) -> Inexact[Array, "tokens width"]:
    """Return what one layer adds to each token.

    Parameters
    ----------
    layer : Layer
        Matrices of one layer, not stacked.
    tokens : array, shape (n, width)
        One token a row, real or complex.
    mask : array, shape (n,) or (n, n)
        Weight with which the token of the last index is seen, by all tokens or by the one of the first index; 0 hides
        it. Normalisations go here.
    softmax : bool
        Whether scores are exponentiated and normalised over the visible tokens (real tokens only).
    """
    scores = (tokens @ layer.query.T) @ (tokens @ layer.key.T).conj().T  # (seeing, seen)
    if softmax:
        scores = jax.nn.softmax(scores, axis=1, where=jnp.broadcast_to(mask > 0, scores.shape))
    else:
        scores = scores * mask
    return scores @ (tokens @ layer.value.T) @ layer.projection.T


@partial(jax.jit, static_argnames="softmax")
def forward(
    layers: Layer, tokens: Inexact[Array, "tokens width"], mask: Float[Array, "..."], *, softmax: bool = False
) -> Inexact[Array, "layers+1 tokens width"]:
    """Pass tokens through stacked layers with residual connections; returns them before the first and after each.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> one = jnp.ones((1, 1, 1))
    >>> forward(make_layer(one, one, one, one), jnp.array([[2.0], [3.0]]), context_mask(2, 1))[-1].ravel()
    Array([10., 15.], dtype=float64)
    """

    def step(before: Array, layer: Layer) -> tuple[Array, Array]:
        after = before + attention(layer, before, mask, softmax=softmax)
        return after, after

    start = tokens.astype(jnp.result_type(tokens, layers.key))
    return jnp.concatenate([start[None], jax.lax.scan(step, start, layers)[1]])


@jax.jit
def forward_prompts(
    layers: Layer, prompts: Inexact[Array, "prompts tokens width"], mask: Float[Array, "..."]
) -> Inexact[Array, "prompts tokens width"]:
    """Pass many prompts through stacked layers and return the last layer's tokens."""

    def step(before: Array, layer: Layer) -> tuple[Array, None]:
        return before + jax.vmap(lambda tokens: attention(layer, tokens, mask))(before), None

    return jax.lax.scan(step, prompts.astype(jnp.result_type(prompts, layers.key)), layers)[0]


def stack(*layers: Layer) -> Layer:
    """Stack single layers, first to last."""
    return jax.tree.map(lambda *matrices: jnp.stack(matrices), *layers)
