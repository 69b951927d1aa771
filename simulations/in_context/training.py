"""Attention layers trained in context: every parameter free, or a few scalars of a construction, by search alone."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

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
    sample_prompts,
)

SCHEMES = ("gd", "free gd", "gd++")
_DRAWS = 16


class Minimum(NamedTuple):
    """Where a minimiser ended, layers or an array of scalars, and the value there; one entry a start."""

    parameters: Any
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
    """Find the step of the one-step layer that minimises the risk.

    The projection scales the prediction, so that the layer at unit step tells the risk, a parabola, at every step.
    """
    unit = predict(repeat(descent_layer(prompts.x.shape[2], 1, step=1.0), 1), prompts)
    weighted = prompts.weight * unit
    step = jnp.sum(weighted * prompts.y_query) / jnp.sum(weighted * unit)
    layers = repeat(descent_layer(prompts.x.shape[2], 1, step=step), 1)
    return Minimum(step[None], risk(layers, prompts)[None])


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


class Fits(NamedTuple):
    """Least-squares fits after growing numbers of prompts: M in x_q^T M X^T y, and eta in eta x_q . X^T y."""

    matrix: Float[Array, "sizes dim dim"]
    step: Float[Array, " sizes"]


def fit_prompts(key: Key[Array, ""], sizes: tuple[int, ...], *, n_context: int, dim: int, law: str = "uniform") -> Fits:
    """Fit both to the first ``sizes`` of one stream of prompts, accumulating the normal equations batch by batch.

    ``sizes`` must be multiples of the first.
    """
    batch = sizes[0]

    def moments(key: Array) -> tuple[Array, Array]:
        prompts = sample_prompts(key, n_prompts=batch, n_context=n_context, dim=dim, law=law)
        features = (prompts.x_query[:, :, None] * _cross(prompts)[:, None, :]).reshape(batch, -1)
        return features.T @ features, features.T @ prompts.y_query

    def add(total: tuple[Array, Array], key: Array) -> tuple[tuple[Array, Array], tuple[Array, Array]]:
        total = jax.tree.map(jnp.add, total, moments(key))
        return total, total

    keys = jax.random.split(key, sizes[-1] // batch)
    _, path = jax.lax.scan(add, (jnp.zeros((dim**2, dim**2)), jnp.zeros(dim**2)), keys)
    gram, overlap = jax.tree.map(lambda leaf: leaf[jnp.array(sizes) // batch - 1], path)
    matrix = jax.vmap(lambda g, o: jax.scipy.linalg.solve(g, o, assume_a="pos"))(gram, overlap)
    unit = jnp.eye(dim).ravel()  # the step is the fit within multiples of the identity
    return Fits(matrix.reshape(-1, dim, dim), (overlap @ unit) / jnp.einsum("i,kij,j->k", unit, gram, unit))


def _cross(prompts: LinearPrompts) -> Float[Array, "prompts dim"]:
    """Return X^T y of every prompt, as a sum: batches of tiny matrix products are slow."""
    return jnp.sum(prompts.x * prompts.y[:, :, None], axis=1)


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

    The first averages over tasks, noises and queries with :func:`channel_risk`, given the variance of query coordinates
    as sampled; the second is the mean squared error of a few draws of them.
    """
    inputs, queries, tasks, labels = jax.random.split(key, 4)
    x = sample_inputs(inputs, (n_context, dim), law=law, scale=scale)
    x_query = sample_inputs(queries, (_DRAWS, dim), law=law, scale=scale)
    w = jax.random.normal(tasks, (_DRAWS, dim))
    noise = noise_std * jax.random.normal(labels, (_DRAWS, n_context + 1))
    step = jnp.asarray(step)

    def errors(factor: Array) -> Array:
        averaged = channel_risk(step[None], factor * x[None], noise_std, scheme="gd", n_layers=1)[0]
        y, y_query = factor * w @ x.T + noise[:, :-1], factor * jnp.sum(w * x_query, axis=1) + noise[:, -1]
        context = jnp.broadcast_to(factor * x, (_DRAWS, *x.shape))
        drawn = LinearPrompts(context, y, factor * x_query, y_query, jnp.full(_DRAWS, 1 / _DRAWS))
        single = risk(repeat(descent_layer(dim, 1, step=step), 1), drawn)
        return jnp.stack([noise_std**2 + factor**2 * jnp.mean(x_query**2) * averaged, single])

    return jax.vmap(errors, out_axes=1)(factors)


@partial(jax.jit, static_argnames=("draw", "width", "n_layers", "shared", "records", "steps_per_record", "batch"))
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
    held_out = draw(testing, n_prompts=20_000)

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
