"""Small transformers, the real kind: read-in, residual stream, attention with or without softmax, MLP, layer norm.

A prompt is a linear task: n context examples (x, y) and some queries. Each example is one token [x, y, 0], each query
one token [x, 0, 1]. All tokens look at the context; with softmax each also looks at itself. No query sees another, so
that several queries of one prompt cost little more than one.
"""

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike
from jaxtyping import Float, Key

from simulations import validation

Attention = Literal["linear", "softmax"]
_KINDS = ("linear", "softmax")


class Prompts(NamedTuple):
    """Linear tasks without noise: y = x.w for a task vector w of each prompt."""

    x: Float[Array, "prompts examples dim"]
    y: Float[Array, "prompts examples"]
    queries: Float[Array, "prompts queries dim"]
    targets: Float[Array, "prompts queries"]


class Block(eqx.Module):
    """One layer: multi-head attention and, in the softmax variant, an MLP, both writing into the residual stream."""

    query_key_value: Float[Array, "3 heads size width"]
    project: Float[Array, "heads width size"]
    norms: Float[Array, "2 2 width"] | None  # (before attention, before MLP) x (gain, shift)
    expand: Float[Array, "hidden width"] | None
    expand_bias: Float[Array, " hidden"]
    contract: Float[Array, "width hidden"] | None
    contract_bias: Float[Array, " width"]


class Transformer(eqx.Module):
    """Layers between a linear read-in and a linear read-out; ``blocks`` has the layers on the first axis of each leaf.

    Called with the arrays of one prompt, it returns its answer to each query; `hidden_states` shows how it got there.
    """

    read_in: Float[Array, "width token"]
    blocks: Block
    read_out: Float[Array, " width"]
    attention: Attention = eqx.field(static=True)

    def __call__(
        self, x: Float[Array, "examples dim"], y: Float[Array, " examples"], queries: Float[Array, "queries dim"]
    ) -> Float[Array, " queries"]:
        """Predictions for the queries of one prompt."""
        return self.hidden_states(x, y, queries)[-1] @ self.read_out

    def hidden_states(
        self, x: Float[Array, "examples dim"], y: Float[Array, " examples"], queries: Float[Array, "queries dim"]
    ) -> Float[Array, "states queries width"]:
        """Residual stream at the query tokens: after the read-in, and after each layer."""
        context, asked = x.shape[0], queries.shape[0]
        examples = jnp.concatenate([x, y[:, None], jnp.zeros_like(y)[:, None]], axis=1)
        blank, flag = jnp.zeros((asked, 1), queries.dtype), jnp.ones((asked, 1), queries.dtype)
        tokens = jnp.concatenate([examples, jnp.concatenate([queries, blank, flag], axis=1)])
        stream = tokens @ self.read_in.T

        def layer(stream: Array, block: Block) -> tuple[Array, Array]:
            stream = stream + _attend(block, _normed(stream, block, 0), context, self.attention)
            if block.expand is not None and block.contract is not None:
                inner = jax.nn.gelu(_normed(stream, block, 1) @ block.expand.T + block.expand_bias)
                stream = stream + inner @ block.contract.T + block.contract_bias
            return stream, stream[context:]

        return jnp.concatenate([stream[None, context:], jax.lax.scan(layer, stream, self.blocks, unroll=True)[1]])


def draw_prompts(
    key: Key[Array, ""],
    *,
    prompts: int,
    examples: int,
    queries: int,
    scales: ArrayLike | Sequence[float],
    sphere: bool = False,
    dtype: Any = jnp.float32,
) -> Prompts:
    """Draw prompts with x ~ N(0, diag(scales^2)) and task vectors w ~ N(0, I).

    Parameters
    ----------
    key : key
        Randomness.
    prompts, examples, queries : int
        How many prompts, and context examples and queries in each; at least 1.
    scales : array_like, shape (d,)
        Standard deviation of each input coordinate, positive.
    sphere : bool
        Project each standard Gaussian onto the sphere of radius sqrt(d) before it is scaled. Linear attention is cubic
        in its input, so that Gaussian tails dominate its loss and wreck its training; on the sphere they do not.
    dtype : type
        Of the arrays; single precision is what networks train in.
    """
    for name, number in (("prompts", prompts), ("examples", examples), ("queries", queries)):
        validation.integer(name, number, minimum=1)
    spread = validation.positive("scales", scales, ndim=1).astype(dtype)
    inputs_key, task_key = jax.random.split(key)
    inputs = jax.random.normal(inputs_key, (prompts, examples + queries, spread.size), dtype)
    if sphere:
        inputs *= spread.size**0.5 / jnp.linalg.norm(inputs, axis=-1, keepdims=True)
    inputs *= spread
    outputs = jnp.einsum("pid,pd->pi", inputs, jax.random.normal(task_key, (prompts, spread.size), dtype))
    return Prompts(inputs[:, :examples], outputs[:, :examples], inputs[:, examples:], outputs[:, examples:])


def init_transformer(
    key: Key[Array, ""],
    *,
    dimension: int,
    layers: int,
    width: int,
    heads: int,
    attention: Attention = "linear",
    output_scale: float = 0.5,
    dtype: Any = jnp.float32,
) -> Transformer:
    """Draw a transformer: N(0, 1/fan_in) weights, what writes into the stream times output_scale / sqrt(layers).

    The read-out starts at zero. The linear variant is attention only; the softmax variant adds pre-layer-norm and a
    GELU MLP of four times the width.

    Raises
    ------
    ValueError
        If a size is below 1, ``width`` is no multiple of ``heads``, or ``attention`` is unknown.
    """
    d = validation.integer("dimension", dimension, minimum=1)
    layers = validation.integer("layers", layers, minimum=1)
    heads = validation.integer("heads", heads, minimum=1)
    width = validation.integer("width", width, minimum=1)
    validation.choice("attention", attention, _KINDS)
    gain = float(validation.positive("output_scale", output_scale, ndim=0)) / layers**0.5
    if width % heads:
        raise ValueError(f"width must be a multiple of the {heads} heads; got {width}")
    size = width // heads
    keys = iter(jax.random.split(key, 5))

    def draw(*shape: int, fan_in: int) -> Array:
        return jax.random.normal(next(keys), shape, dtype) / jnp.sqrt(jnp.asarray(fan_in, dtype))

    norms = expand = contract = None
    expand_bias = contract_bias = jnp.zeros((layers, 0), dtype)
    read_in = draw(width, d + 2, fan_in=d + 2)
    query_key_value = draw(layers, 3, heads, size, width, fan_in=width)
    project = gain * draw(layers, heads, width, size, fan_in=width)
    if attention == "softmax":
        hidden = 4 * width
        norms = jnp.zeros((layers, 2, 2, width), dtype).at[:, :, 0].set(1.0)
        expand, expand_bias = draw(layers, hidden, width, fan_in=width), jnp.zeros((layers, hidden), dtype)
        contract = gain * draw(layers, width, hidden, fan_in=hidden)
        contract_bias = jnp.zeros((layers, width), dtype)
    blocks = Block(query_key_value, project, norms, expand, expand_bias, contract, contract_bias)
    return Transformer(read_in, blocks, jnp.zeros(width, dtype), attention)


def _normed(stream: Array, block: Block, which: int) -> Array:
    if block.norms is None:
        return stream
    gain, shift = block.norms[which]
    centred = stream - jnp.mean(stream, axis=-1, keepdims=True)
    return gain * centred * jax.lax.rsqrt(jnp.mean(centred**2, axis=-1, keepdims=True) + 1e-5) + shift


def _attend(block: Block, stream: Array, context: int, attention: Attention) -> Array:
    query, key, value = jnp.einsum("chsw,tw->chts", block.query_key_value, stream)
    root = block.query_key_value.shape[-2] ** 0.5
    scores = jnp.einsum("hts,hus->htu", query, key[:, :context]) / root
    if attention == "linear":
        mixed = jnp.einsum("htu,hus->hts", scores / context, value[:, :context])
    else:
        own = jnp.sum(query * key, axis=-1, keepdims=True) / root
        looks = jnp.arange(stream.shape[0]) >= context  # an example is in the context that it looks at
        weights = jax.nn.softmax(jnp.concatenate([scores, jnp.where(looks[:, None], own, -jnp.inf)], axis=-1), axis=-1)
        mixed = jnp.einsum("htu,hus->hts", weights[..., :context], value[:, :context]) + weights[..., context:] * value
    return jnp.einsum("hws,hts->tw", block.project, mixed)
