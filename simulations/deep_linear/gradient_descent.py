"""Full-batch gradient descent on the weight matrices of a deep linear network.

Time is t = learning rate times number of steps. Step counts and learning rates are traced, so that one compilation
serves every learning rate and every horizon of a given network shape.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike
from jaxtyping import Bool, Float, Int

from simulations import validation
from simulations.deep_linear.networks import Task, Weights, WeightsLike, check_weights, loss

Observe = Callable[[Weights], Any]
"""Readout of the weights at a record time: any function of them that returns arrays."""


class StepsToFraction(NamedTuple):
    """How long a run took: whole ``steps``, the interpolated ``crossing``, and whether it ``reached`` its goal."""

    steps: Int[Array, ""]
    crossing: Float[Array, ""]
    reached: Bool[Array, ""]


class FewestSteps(NamedTuple):
    """The quickest of several runs: its ``steps``, its ``learning_rate``, and whether any run ``reached`` its goal."""

    steps: Int[Array, ""]
    learning_rate: Float[Array, ""]
    reached: Bool[Array, ""]


def gradient_descent(
    weights: WeightsLike,
    task: Task,
    *,
    learning_rate: ArrayLike,
    steps: Int[ArrayLike, " times"] | Sequence[int],
    observe: Observe | None = None,
) -> Any:
    r"""Train by :math:`W_l \leftarrow W_l - \eta\, \partial L / \partial W_l` and observe after given numbers of steps.

    Costs O(max(steps) D n^3); memory is that of one set of weights plus the observations. The trace of a run is
    compiled once for each network shape, number of records and ``observe`` function.

    Parameters
    ----------
    weights : Weights
        Initial weights, left as they are.
    task : Task
        What to learn.
    learning_rate : float
        eta > 0, in units of 1 / curvature of the loss.
    steps : sequence of int
        Step counts to observe at, nonnegative and nondecreasing.
    observe : callable, optional
        Maps weights to arrays (or a pytree of them); the weights themselves when left out.

    Returns
    -------
    pytree
        Observations, stacked over ``steps`` on the first axis.

    Raises
    ------
    ValueError
        If the network does not fit the task, ``learning_rate`` <= 0, or ``steps`` are not nonnegative increasing.
    FloatingPointError
        If the run diverged, so that an observation is not finite.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> task = Task.from_moments(jnp.array([[3.0]]))
    >>> start = (jnp.array([[1.0]]),)
    >>> gradient_descent(start, task, learning_rate=0.5, steps=[0, 1, 2], observe=lambda w: w[0][0, 0])
    Array([1. , 2. , 2.5], dtype=float64)
    """
    start = check_weights(weights, task)
    rate = validation.positive("learning_rate", learning_rate, ndim=0)
    counts = _step_counts(steps)
    records = _descend(start, task, rate, jnp.asarray(counts), observe or _all_weights)
    for leaf in jax.tree.leaves(records):
        if validation.is_concrete(leaf) and not np.isfinite(leaf).all():
            raise FloatingPointError(f"gradient descent diverged within {counts[-1]} steps at learning_rate {rate:g}")
    return records


def descend_at_times(
    weights: WeightsLike,
    task: Task,
    *,
    learning_rates: Float[ArrayLike, " rates"] | Sequence[ArrayLike],
    times: Float[ArrayLike, " times"] | Sequence[ArrayLike],
    observe: Observe | None = None,
) -> Any:
    r"""Gradient descent at several learning rates, observed at the same times :math:`t = \eta k`.

    Parameters
    ----------
    weights, task, observe
        As in :func:`gradient_descent`.
    learning_rates : sequence of float
        Each must divide every time into a whole number of steps.
    times : sequence of float
        Nonnegative and nondecreasing.

    Returns
    -------
    pytree
        Observations with axes (learning rate, time, ...).

    Raises
    ------
    ValueError
        As in :func:`gradient_descent`, or if a time is not a whole number of steps.
    """
    rates = np.asarray(validation.positive("learning_rates", np.asarray(learning_rates), ndim=1))
    runs = [
        gradient_descent(weights, task, learning_rate=rate, steps=steps_at(times, rate), observe=observe)
        for rate in rates
    ]
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *runs)


def steps_at(times: Float[ArrayLike, " times"] | Sequence[ArrayLike], learning_rate: ArrayLike) -> list[int]:
    r"""Return the step counts :math:`k = t / \eta` of the given times, or raise ValueError when one is not whole.

    Examples
    --------
    >>> steps_at([0.0, 1.0, 3.0], 4e-3)
    [0, 250, 750]
    """
    t = np.asarray(validation.nonnegative("times", np.asarray(times), ndim=1))
    counts = t / float(validation.positive("learning_rate", learning_rate, ndim=0))
    whole = np.rint(counts)
    off = np.abs(counts - whole) > 1e-9 * np.maximum(whole, 1)
    if off.any():
        raise ValueError(f"times must be whole multiples of learning_rate = {learning_rate:g}; got {t[off][0]:g}")
    return [int(k) for k in whole]


def steps_to_fraction(
    weights: WeightsLike, task: Task, *, learning_rate: ArrayLike, fraction: ArrayLike, max_steps: ArrayLike
) -> StepsToFraction:
    """Count the steps until the loss is at most ``fraction`` of its initial value.

    Stops at the goal, at ``max_steps``, or once the loss is no longer finite. Under `jax.vmap` over weights or
    learning rates all runs go on until the last has stopped.

    Parameters
    ----------
    weights, task
        As in :func:`gradient_descent`.
    learning_rate : float
        Step size > 0.
    fraction : float
        Goal for loss / initial loss, in (0, 1).
    max_steps : int
        Number of steps after which to give up.

    Returns
    -------
    StepsToFraction
        ``steps`` (that many were taken), ``crossing`` (the same with the last step divided where the log of the
        loss, interpolated linearly, meets the goal; infinite when not reached), ``reached``.

    Raises
    ------
    ValueError
        If the network does not fit the task or a number is out of its range.
    """
    start = check_weights(weights, task)
    rate = validation.positive("learning_rate", learning_rate, ndim=0)
    return _count_steps(start, task, rate, _goal(fraction), _limit(max_steps))


def fewest_steps(
    weights: WeightsLike,
    task: Task,
    *,
    learning_rates: Float[ArrayLike, " rates"] | Sequence[ArrayLike],
    fraction: ArrayLike,
    max_steps: ArrayLike,
) -> FewestSteps:
    """Train at all ``learning_rates`` side by side until the first of them reaches ``fraction`` of the initial loss.

    Costs len(learning_rates) times the steps of the *quickest* run, however slow or divergent the others.

    Returns
    -------
    FewestSteps
        ``steps`` of the quickest run, its ``learning_rate`` (the lowest loss wins a tie), and ``reached``.

    Raises
    ------
    ValueError
        As in :func:`steps_to_fraction`.
    """
    start = check_weights(weights, task)
    rates = validation.positive("learning_rates", learning_rates, ndim=1)
    if rates.shape[0] == 0:
        raise ValueError("learning_rates must hold at least one rate; got none")
    return _race(start, task, rates, _goal(fraction), _limit(max_steps))


def pretrain_layers(
    weights: WeightsLike,
    *,
    learning_rate: ArrayLike,
    n_steps: int,
    sigma_xx: Float[ArrayLike, "inputs inputs"] | Sequence[Sequence[ArrayLike]],
) -> Weights:
    r"""Greedy pretraining: each layer in turn learns to autoencode what the layers below it make of the inputs.

    Layer l and a decoder that starts as its transpose descend
    :math:`\tfrac12 \mathrm{tr}[(I - A W_l) \Sigma_l (I - A W_l)^T]`; the decoder A is then dropped and
    :math:`\Sigma_{l+1} = W_l \Sigma_l W_l^T`. Costs O(D n_steps n^3).

    Parameters
    ----------
    weights : Weights
        The layers to pretrain, input side first (without the output layer).
    learning_rate : float
        Step size > 0.
    n_steps : int
        Steps for each layer.
    sigma_xx : array_like, shape (N_in, N_in)
        Correlation of the inputs.

    Returns
    -------
    Weights
        Pretrained layers, unstacked.

    Raises
    ------
    ValueError
        If layers do not compose or do not fit ``sigma_xx``, or a number is out of its range.
    FloatingPointError
        If a layer's training diverged.
    """
    layers = check_weights(weights)
    covariance = validation.finite("sigma_xx", sigma_xx, ndim=2)
    n_steps = validation.integer("n_steps", n_steps, minimum=0)
    trained = []
    for layer in (matrix for entry in layers for matrix in (entry if entry.ndim == 3 else (entry,))):
        if covariance.shape != (layer.shape[1],) * 2:
            raise ValueError(f"sigma_xx must have shape {(layer.shape[1],) * 2}; got {covariance.shape}")
        task = Task.from_moments(covariance, covariance)
        records = gradient_descent((layer, layer.T), task, learning_rate=learning_rate, steps=[n_steps])
        trained.append(records[0][0])
        covariance = trained[-1] @ covariance @ trained[-1].T
        covariance = (covariance + covariance.T) / 2
    return tuple(trained)


def gradient_step(weights: Weights, task: Task, learning_rate: ArrayLike) -> Weights:
    """One step of gradient descent."""
    gradients = jax.grad(loss)(weights, task)
    return jax.tree.map(lambda w, g: w - learning_rate * g, weights, gradients)


@eqx.filter_jit
def _descend(start: Weights, task: Task, rate: Array, counts: Array, observe: Observe) -> Any:
    def record(carry: tuple[Weights, Array], count: Array) -> tuple[tuple[Weights, Array], Any]:
        weights, done = carry
        weights = jax.lax.fori_loop(done, count, lambda _, w: gradient_step(w, task, rate), weights)
        return (weights, count), observe(weights)

    return jax.lax.scan(record, (start, jnp.zeros_like(counts[0])), counts)[1]


@eqx.filter_jit
def _count_steps(start: Weights, task: Task, rate: Array, fraction: Array, limit: Array) -> StepsToFraction:
    initial = loss(start, task)
    goal = fraction * initial

    def unfinished(state: tuple[Weights, Array, Array, Array]) -> Array:
        _, steps, _, now = state
        return (now > goal) & (steps < limit) & jnp.isfinite(now)

    def advance(state: tuple[Weights, Array, Array, Array]) -> tuple[Weights, Array, Array, Array]:
        weights, steps, _, now = state
        weights = gradient_step(weights, task, rate)
        return weights, steps + 1, now, loss(weights, task)

    _, steps, before, now = jax.lax.while_loop(unfinished, advance, (start, jnp.zeros_like(limit), initial, initial))
    reached = now <= goal
    # A last step that lands on loss zero has no logarithm; it counts as a whole step.
    tiny = jnp.finfo(now.dtype).tiny
    share = jnp.log(before / goal) / jnp.log(before / jnp.maximum(now, tiny))
    crossing = jnp.where(reached, steps - 1 + jnp.where(now > tiny, share, 1.0), jnp.inf)
    return StepsToFraction(steps=steps, crossing=crossing, reached=reached)


@eqx.filter_jit
def _race(start: Weights, task: Task, rates: Array, fraction: Array, limit: Array) -> FewestSteps:
    initial = loss(start, task)
    goal = fraction * initial
    runners = jax.tree.map(lambda w: jnp.broadcast_to(w, rates.shape + w.shape), start)
    step = jax.vmap(gradient_step, in_axes=(0, None, 0))
    measure = jax.vmap(loss, in_axes=(0, None))

    def unfinished(state: tuple[Weights, Array, Array]) -> Array:
        _, steps, losses = state
        return (jnp.nanmin(losses) > goal) & (steps < limit)

    def advance(state: tuple[Weights, Array, Array]) -> tuple[Weights, Array, Array]:
        weights, steps, _ = state
        weights = step(weights, task, rates)
        return weights, steps + 1, measure(weights, task)

    _, steps, losses = jax.lax.while_loop(
        unfinished, advance, (runners, jnp.zeros_like(limit), jnp.broadcast_to(initial, rates.shape))
    )
    ranked = jnp.where(jnp.isnan(losses), jnp.inf, losses)
    return FewestSteps(steps=steps, learning_rate=rates[jnp.argmin(ranked)], reached=jnp.min(ranked) <= goal)


def _all_weights(weights: Weights) -> Weights:
    return weights


def _step_counts(steps: ArrayLike | Sequence[int]) -> np.ndarray:
    counts = np.asarray(steps)
    if counts.ndim != 1 or counts.size == 0 or not np.issubdtype(counts.dtype, np.integer):
        raise ValueError(f"steps must be a non-empty sequence of integers; got {steps!r}")
    if counts[0] < 0 or (np.diff(counts) < 0).any():
        raise ValueError(f"steps must be nonnegative and nondecreasing; got {counts.tolist()}")
    return counts.astype(np.int64)


def _goal(fraction: ArrayLike) -> Array:
    goal = validation.finite("fraction", fraction, ndim=0)
    return validation.require("fraction", goal, lambda x: (x > 0) & (x < 1), "between 0 and 1, both excluded")


def _limit(max_steps: ArrayLike) -> Array:
    if isinstance(max_steps, int | np.integer):
        return jnp.asarray(validation.integer("max_steps", int(max_steps), minimum=1), dtype=jnp.int64)
    limit = jnp.asarray(max_steps)
    if not jnp.issubdtype(limit.dtype, jnp.integer):
        raise TypeError(f"max_steps must be an integer; got {max_steps!r}")
    return limit.astype(jnp.int64)
