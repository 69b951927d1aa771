"""Attention layers trained in context: every parameter free, or a few scalars of a construction, by search alone."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax  # type: ignore[import-untyped]
import optimistix as optx
from jax import Array
from jax.typing import ArrayLike
from jaxtyping import Float, Key

from simulations import validation
from simulations.in_context.attention import Layer, forward_prompts, random_layer, repeat
from simulations.in_context.prompts import (
    LinearPrompts,
    channel_errors,
    channel_tokens,
    prompt_tokens,
    sample_inputs,
)

SCHEMES = ("gd", "free gd", "gd++")


class Minimum(NamedTuple):
    """Where a minimiser ended, and the value there; one entry a start."""

    parameters: Float[Array, "starts ..."] | Layer
    value: Float[Array, " starts"]


class Training(NamedTuple):
    """Layers at the recorded steps, stacked, and the loss of each on prompts it was not trained on."""

    layers: Layer
    loss: Float[Array, " records"]


def predict(layers: Layer, prompts: LinearPrompts) -> Float[Array, " prompts"]:
    """Return minus the query's label slot after the last layer; keys and values come from the examples only."""
    mask = jnp.arange(prompts.x.shape[1] + 1) < prompts.x.shape[1]
    return -forward_prompts(layers, prompt_tokens(prompts), mask.astype(float))[:, -1, -1]


def risk(layers: Layer, prompts: LinearPrompts) -> Float[Array, ""]:
    """Weighted mean squared error against the query's label, differentiable in the layers."""
    return jnp.sum(prompts.weight * (predict(layers, prompts) - prompts.y_query) ** 2)


@jax.jit
def query_sensitivity(layers: Layer, prompts: LinearPrompts) -> Float[Array, "prompts dim"]:
    """Gradient of every prediction with respect to its query input, by automatic differentiation."""
    return jax.grad(lambda x_query: jnp.sum(predict(layers, prompts._replace(x_query=x_query))))(prompts.x_query)


@partial(jax.jit, static_argnames=("n_layers", "max_steps"))
def minimise_risk(
    keys: Key[Array, " starts"], prompts: LinearPrompts, *, std: float = 1.0, n_layers: int = 1, max_steps: int = 2000
) -> Minimum:
    """Minimise the risk over all entries of all matrices, from Gaussian starts, by BFGS.

    Nothing is frozen: keys, queries, values and projection are full matrices of the token's width.
    """
    width = prompts.x.shape[2] + 1

    def search(key: Array) -> tuple[Layer, Array]:
        start = random_layer(key, width=width, std=std, n_layers=n_layers)
        solution: optx.Solution = optx.minimise(
            risk, optx.BFGS(rtol=1e-8, atol=1e-8), start, args=prompts, max_steps=max_steps, throw=False
        )
        return solution.value, risk(solution.value, prompts)

    return Minimum(*jax.vmap(search)(keys))


@jax.jit
def line_search(prompts: LinearPrompts) -> Minimum:
    """Find the step of the one-step layer that minimises the risk, a parabola in it, by its derivatives at zero."""
    dim = prompts.x.shape[2]

    def along(step: Array) -> Array:
        return risk(repeat(descent_layer(dim, 1, step=step), 1), prompts)

    zero = jnp.zeros(())
    step = -jax.grad(along)(zero) / jax.grad(jax.grad(along))(zero)
    return Minimum(step[None], along(step)[None])


def descent_layer(n_inputs: int, n_outputs: int, *, step: ArrayLike, input_decay: ArrayLike = 0.0) -> Layer:
    """Layer that reads inputs into keys and queries and writes minus the values back, scaled slot by slot.

    ``step`` scales what is written into label slots, ``input_decay`` what is written into input slots.
    """
    reads = jnp.diag(jnp.concatenate([jnp.ones(n_inputs), jnp.zeros(n_outputs)]))
    scales = jnp.concatenate([jnp.full(n_inputs, input_decay), jnp.full(n_outputs, step)])
    return Layer(key=reads, query=reads, value=-jnp.eye(n_inputs + n_outputs), projection=jnp.diag(scales))


@partial(jax.jit, static_argnames=("scheme", "n_layers"))
def channel_risk(
    parameters: Float[Array, " parameters"],
    x: Float[Array, "prompts examples dim"],
    noise_std: ArrayLike,
    *,
    scheme: str,
    n_layers: int,
) -> Float[Array, " prompts"]:
    """Squared error of descent layers on each set of inputs, summed over unit tasks, unit noises and basis queries.

    Times the variance of a query coordinate it is the average over standard normal tasks, over noises, and over
    isotropic queries, labels of queries noiseless. Parameters are a step for all layers ("gd"), one for each
    ("free gd"), or a step and an input decay for all layers ("gd++").
    """
    dim = x.shape[2]
    tokens = jax.vmap(lambda rows: channel_tokens(rows, noise_std=noise_std))(x)
    n_outputs = tokens.shape[2] - dim
    if scheme == "free gd":
        layers = jax.vmap(lambda step: descent_layer(dim, n_outputs, step=step))(parameters)
    else:
        decay = parameters[1] if scheme == "gd++" else 0.0
        layers = repeat(descent_layer(dim, n_outputs, step=parameters[0], input_decay=decay), n_layers)
    mask = jnp.arange(tokens.shape[1]) < x.shape[1]
    return jax.vmap(lambda rows: channel_errors(rows, dim))(forward_prompts(layers, tokens, mask.astype(float)))


@partial(jax.jit, static_argnames=("scheme", "n_layers"))
def minimise_channel_risk(
    start: Float[Array, " parameters"], x: Float[Array, "prompts examples dim"], *, scheme: str, n_layers: int
) -> Minimum:
    """Find the scalars of a scheme that minimise the mean of :func:`channel_risk`, by BFGS in units of the start."""
    validation.choice("scheme", scheme, SCHEMES)

    def mean(scaled: Array, inputs: Array) -> Array:
        return jnp.mean(channel_risk(scaled * start, inputs, 0.0, scheme=scheme, n_layers=n_layers))

    solution: optx.Solution = optx.minimise(
        mean, optx.BFGS(rtol=1e-8, atol=1e-8), jnp.ones_like(start), args=x, max_steps=500, throw=False
    )
    return Minimum((solution.value * start)[None], mean(solution.value, x)[None])


@jax.jit
def fit_effective_matrix(prompts: LinearPrompts) -> Float[Array, "dim dim"]:
    """Least-squares fit of M in the prediction x_q^T M X^T y to the labels of the queries, over all prompts."""
    cross = jnp.einsum("pnd,pn->pd", prompts.x, prompts.y)
    features = (prompts.x_query[:, :, None] * cross[:, None, :]).reshape(len(cross), -1)
    gram, overlap = features.T @ features, features.T @ prompts.y_query
    dim = cross.shape[1]
    return jax.scipy.linalg.solve(gram, overlap, assume_a="pos").reshape(dim, dim)


def matrix_layer(matrix: Float[Array, "dim dim"]) -> Layer:
    """Layer that predicts x_q^T M X^T y: the query's input passes through M^T before it meets the keys."""
    dim = matrix.shape[0]
    plain = descent_layer(dim, 1, step=1.0)
    return Layer(plain.key, jnp.zeros_like(plain.query).at[:dim, :dim].set(matrix.T), plain.value, plain.projection)


def scaled_errors(
    key: Key[Array, ""],
    step: ArrayLike,
    factors: Float[Array, " factors"],
    *,
    n_context: int,
    dim: int,
    law: str,
    scale: float,
    noise_std: float,
) -> Float[Array, "2 factors"]:
    """Errors of the one-step layer on one draw of inputs, scaled by each factor: two unbiased estimates of its risk.

    The first averages over task, noise and query with :func:`channel_risk`, given the variance of a query coordinate as
    sampled; the second is the squared error of a single task, noise and query.
    """
    inputs, queries, task, labels = jax.random.split(key, 4)
    x = sample_inputs(inputs, (n_context + 1, dim), law=law, scale=scale)
    power = jnp.mean(sample_inputs(queries, (64, dim), law=law, scale=scale) ** 2)
    w, noise = jax.random.normal(task, (dim,)), noise_std * jax.random.normal(labels, (n_context + 1,))

    def errors(factor: Array) -> Array:
        averaged = channel_risk(step[None], factor * x[None, :-1], noise_std, scheme="gd", n_layers=1)[0]
        y = factor * x @ w + noise
        prompt = LinearPrompts(factor * x[None, :-1], y[None, :-1], factor * x[-1:], y[-1:], jnp.ones(1))
        layers = repeat(descent_layer(dim, 1, step=step), 1)
        return jnp.stack([noise_std**2 + factor**2 * power * averaged, risk(layers, prompt)])

    return jax.vmap(errors, out_axes=1)(factors)


@partial(jax.jit, static_argnames=("draw", "n_layers", "shared", "records", "steps_per_record", "batch"))
def train_attention(
    key: Key[Array, ""],
    draw: Callable[..., LinearPrompts],
    *,
    width: int,
    n_layers: int = 1,
    shared: bool = False,
    records: int,
    steps_per_record: int,
    batch: int,
    learning_rate: float = 3e-3,
    std: float = 0.3,
) -> Training:
    """Train every matrix by Adam on fresh prompts, with a cosine decay of the rate and global clipping.

    ``draw(key, n_prompts=...)`` samples prompts; ``shared`` uses one layer's matrices in all layers.
    """
    starting, training, testing = jax.random.split(key, 3)
    start = random_layer(starting, width=width, std=std, n_layers=None if shared else n_layers)
    schedule = optax.cosine_decay_schedule(learning_rate, records * steps_per_record)
    optimiser = optax.chain(optax.clip_by_global_norm(10.0), optax.adam(schedule))
    held_out = draw(testing, n_prompts=max(batch, 4096))

    def unrolled(layer: Layer) -> Layer:
        return repeat(layer, n_layers) if shared else layer

    def step(state: tuple[Layer, optax.OptState], key: Array) -> tuple[tuple[Layer, optax.OptState], None]:
        layer, moments = state
        gradient = jax.grad(lambda parameters: risk(unrolled(parameters), draw(key, n_prompts=batch)))(layer)
        updates, moments = optimiser.update(gradient, moments)
        return (optax.apply_updates(layer, updates), moments), None

    def record(state: tuple[Layer, optax.OptState], keys: Array) -> tuple[tuple[Layer, optax.OptState], tuple]:
        layers = unrolled(state[0])
        return jax.lax.scan(step, state, keys)[0], (layers, risk(layers, held_out))

    keys = jax.random.split(training, (records, steps_per_record))
    (last, _), (path, losses) = jax.lax.scan(record, (start, optimiser.init(start)), keys)
    final = unrolled(last)
    layers = jax.tree.map(lambda steps, end: jnp.concatenate([steps, end[None]]), path, final)
    return Training(layers, jnp.append(losses, risk(final, held_out)))
