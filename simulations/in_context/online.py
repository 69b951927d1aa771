"""Learners that see one example at a time: recursive least squares, online gradient descent, Kaczmarz."""

from functools import partial
from typing import Literal

import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike
from jaxtyping import Float, Key

from simulations import validation


def recursive_least_squares(x: ArrayLike, y: ArrayLike, *, ridge: float) -> Float[Array, "prefixes dim"]:
    """Weights after 0, 1, ..., n examples, by rank-one updates of the inverse that starts as I / ridge."""
    inputs, answers = validation.finite("x", x, ndim=2), validation.finite("y", y, ndim=1)
    if answers.shape[0] != inputs.shape[0]:
        raise ValueError(f"y must hold one answer for each of the {inputs.shape[0]} rows of x; got {answers.shape[0]}")
    return _recursion(inputs, answers, validation.positive("ridge", ridge, ndim=0))


@jax.jit
def _recursion(x: Array, y: Array, ridge: Array) -> Array:
    def step(state: tuple[Array, Array], example: tuple[Array, Array]) -> tuple[tuple[Array, Array], Array]:
        weights, inverse = state
        inputs, answer = example
        moved = inverse @ inputs
        gain = moved / (1 + inputs @ moved)
        weights = weights + gain * (answer - inputs @ weights)
        return (weights, inverse - jnp.outer(gain, moved)), weights

    zero = jnp.zeros(x.shape[1])
    path = jax.lax.scan(step, (zero, jnp.eye(x.shape[1]) / ridge), (x, y))[1]
    return jnp.concatenate([zero[None], path])


def stream_errors(
    key: Key[Array, ""], rate: Array, *, dimension: int, steps: int, update: Literal["gradient", "kaczmarz"]
) -> Float[Array, " times"]:
    """Squared distance from the task after 0, 1, ..., ``steps`` examples, relative to that of the start at zero.

    Task and inputs are standard Gaussian, answers free of noise. A gradient update steps by rate * (y - x.w) x; the
    Kaczmarz update by the rate that fits the example exactly, 1 / ||x||^2.
    """
    return _stream(key, rate, dimension, steps, update)[0]


def stream_recall(key: Key[Array, ""], *, dimension: int, steps: int, seen: int) -> Float[Array, " ages"]:
    """Squared error on the direction of example ``seen``, from when it was seen until after ``steps`` of Kaczmarz.

    Relative to the squared norm of the task vector, in which the error starts.
    """
    _, errors, inputs, start = _stream(key, jnp.zeros(()), dimension, steps, "kaczmarz")
    direction = inputs[seen - 1] / jnp.linalg.norm(inputs[seen - 1])
    return (errors[seen:] @ direction) ** 2 / (start @ start)


@partial(jax.jit, static_argnums=(2, 3, 4))
def _stream(key: Array, rate: Array, dimension: int, steps: int, update: str) -> tuple[Array, Array, Array, Array]:
    task_key, input_key = jax.random.split(key)
    task = jax.random.normal(task_key, (dimension,))
    inputs = jax.random.normal(input_key, (steps, dimension))

    def step(weights: Array, x: Array) -> tuple[Array, Array]:
        size = rate if update == "gradient" else 1 / (x @ x)
        weights = weights + size * (task @ x - x @ weights) * x
        return weights, weights

    zero = jnp.zeros(dimension)
    errors = jnp.concatenate([zero[None], jax.lax.scan(step, zero, inputs)[1]]) - task
    return jnp.sum(errors**2, axis=1) / (task @ task), errors, inputs, task
