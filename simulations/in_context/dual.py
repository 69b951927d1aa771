"""Linear layers trained step by step, momentum as a literal sum, and the attention that mirrors both."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike
from jaxtyping import Float

from simulations.in_context.attention import Layer, attention


class TrainedLayer(NamedTuple):
    """Weights after training, and for every use of an example minus the rate times the loss gradient by its output."""

    weights: Float[Array, "outputs inputs"]
    errors: Float[Array, "uses outputs"]


def log_cosh_loss(outputs: Float[Array, "batch outputs"], targets: Float[Array, "batch outputs"]) -> Float[Array, ""]:
    """Sum of log cosh of the errors: smooth, convex, and nothing like quadratic away from zero."""
    error = outputs - targets
    return jnp.sum(jnp.logaddexp(error, -error) - jnp.log(2.0))


@jax.jit
def train_linear_layer(
    weights: Float[Array, "outputs inputs"],
    inputs: Float[Array, "steps batch inputs"],
    targets: Float[Array, "steps batch outputs"],
    learning_rate: ArrayLike,
) -> TrainedLayer:
    """Train y = W x by stochastic gradient descent, one batch a step, keeping the error signals.

    Weights move by the gradient of the loss with respect to the weights; error signals are recorded from that with
    respect to the outputs.
    """
    rate = jnp.asarray(learning_rate)

    def step(w: Array, batch: tuple[Array, Array]) -> tuple[Array, Array]:
        x, target = batch
        errors = -rate * jax.grad(log_cosh_loss)(x @ w.T, target)
        return w - rate * jax.grad(lambda v: log_cosh_loss(x @ v.T, target))(w), errors

    trained, errors = jax.lax.scan(step, weights, (inputs, targets))
    return TrainedLayer(trained, errors.reshape(-1, weights.shape[0]))


@jax.jit
def attend_to_errors(
    weights: Float[Array, "outputs inputs"],
    inputs: Float[Array, "uses inputs"],
    errors: Float[Array, "uses outputs"],
    query: Float[Array, " inputs"],
) -> Float[Array, " outputs"]:
    """Add to the output of a layer what linear attention reads from tokens (input, error), the query's token last."""
    d_in, d_out = inputs.shape[1], errors.shape[1]
    asking = jnp.concatenate([query, weights @ query])
    tokens = jnp.concatenate([jnp.concatenate([inputs, errors], axis=1), asking[None]])
    reads_input, reads_error = jnp.eye(d_in, d_in + d_out), jnp.eye(d_out, d_in + d_out, d_in)
    layer = Layer(key=reads_input, query=reads_input, value=reads_error, projection=reads_error.T)
    mask = (jnp.arange(len(tokens)) < len(inputs)).astype(float)
    return (tokens + attention(layer, tokens, mask))[-1, d_in:]


@partial(jax.jit, static_argnames=("loss", "n_steps"))
def momentum_descent(
    loss: Callable[..., Array],
    start: Float[Array, "..."],
    *arguments: Array,
    step_size: ArrayLike,
    momentum: ArrayLike,
    n_steps: int,
) -> Float[Array, "steps+1 ..."]:
    """Descend ``loss(theta, *arguments)`` by the momentum sum written out: every step weighs all gradients so far anew.

    Step t = 1, ..., n_steps subtracts step_size times the sum over i < t of momentum^(t - i) times the gradient at
    theta_i. Costs O(n_steps^2) additions.
    """
    index = jnp.arange(n_steps + 1)

    def step(carry: tuple[Array, Array], t: Array) -> tuple[tuple[Array, Array], Array]:
        theta, gradients = carry
        weights = jnp.where((index >= 1) & (index < t), jnp.asarray(momentum) ** jnp.maximum(t - index, 0), 0.0)
        theta = theta - jnp.asarray(step_size) * jnp.tensordot(weights, gradients, axes=1)
        return (theta, gradients.at[t].set(jax.grad(loss)(theta, *arguments))), theta

    _, path = jax.lax.scan(step, (start, jnp.zeros((n_steps + 1, *start.shape))), index[1:])
    return jnp.concatenate([start[None], path])


@jax.jit
def momentum_attention(
    layer: Layer, tokens: Float[Array, "tokens width"], momentum: ArrayLike
) -> Float[Array, "tokens width"]:
    """Causal linear attention to earlier tokens plus the moving sum of their values, written out with all weights."""
    t = jnp.arange(len(tokens))
    earlier = t[:, None] > t
    weights = jnp.where(earlier, jnp.asarray(momentum) ** jnp.maximum(t[:, None] - t, 0), 0.0)
    return attention(layer, tokens, earlier.astype(float)) + weights @ (tokens @ layer.value.T) @ layer.projection.T


@jax.jit
def channel_attention(
    layer: Layer, tokens: Float[Array, "tokens width"], momentum: ArrayLike
) -> Float[Array, "tokens width"]:
    """Attend with one more channel in keys and queries, momentum^-i and momentum^t, and with nothing else.

    Keys overflow on long sequences.
    """
    length, width = tokens.shape
    t = jnp.arange(length)
    decay = jnp.asarray(momentum) ** t[:, None]
    wide = jnp.concatenate([tokens, 1 / decay, decay], axis=1)
    size = layer.key.shape[0]
    asks = jnp.zeros((size + 1, width + 2))
    wide_layer = Layer(
        key=asks.at[:size, :width].set(layer.key).at[size, width].set(1.0),
        query=asks.at[:size, :width].set(layer.query).at[size, width + 1].set(1.0),
        value=jnp.pad(layer.value, ((0, 0), (0, 2))),
        projection=jnp.pad(layer.projection, ((0, 2), (0, 0))),
    )
    return attention(wide_layer, wide, (t[:, None] > t).astype(float))[:, :width]
