r"""Stability at a minimum, found by running: displacements under SGD, and where gradient descent leaves."""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike
from jaxtyping import Float, PRNGKeyArray

from simulations import validation
from simulations.optimization.minima import RayleighMinimum, ZeroLossModel
from simulations.replicates import over_replicates

PERTURBATION = 3e-8
ESCAPE = 1e3
RETURN = 1e-3


def sgd_displacements(
    key: PRNGKeyArray,
    model: ZeroLossModel,
    start: ArrayLike,
    *,
    learning_rate: ArrayLike,
    batch_size: int,
    n_steps: int,
    n_replicates: int,
) -> Float[Array, "replicates p"]:
    r"""Displacements from the minimum after SGD steps on batches drawn with replacement, in independent runs.

    Costs O(n p) a step and run.

    Parameters
    ----------
    key : PRNG key
    model : ZeroLossModel
    start : array_like, shape (p,)
        Displacement before the first step.
    learning_rate : float
        eta > 0.
    batch_size, n_steps, n_replicates : int
        At least 1.

    Returns
    -------
    array, shape (n_replicates, p)

    Raises
    ------
    ValueError
        If shapes disagree or a number is out of its range.
    """
    displacement = start_displacement(start, model.point.shape[0])
    rate = validation.positive("learning_rate", learning_rate, ndim=0)
    B, steps, runs = run_counts(batch_size, n_steps, n_replicates)
    return over_replicates(_sgd, jax.random.split(key, runs), model, displacement, rate, B, steps)


def gaussian_displacements(
    key: PRNGKeyArray,
    eigenvalues: ArrayLike,
    start: ArrayLike,
    *,
    learning_rate: ArrayLike,
    batch_size: int,
    n_steps: int,
    n_replicates: int,
) -> Float[Array, "replicates d"]:
    r"""Return displacements of a linear model under SGD on fresh inputs x ~ N(0, diag(eigenvalues)) in every step.

    Parameters
    ----------
    key : PRNG key
    eigenvalues : array_like, shape (d,)
        Nonnegative.
    start, learning_rate, batch_size, n_steps, n_replicates
        As in :func:`sgd_displacements`.

    Returns
    -------
    array, shape (n_replicates, d)

    Raises
    ------
    ValueError
        If shapes disagree or a number is out of its range.
    """
    scales = jnp.sqrt(validation.nonnegative("eigenvalues", eigenvalues, ndim=1))
    displacement = start_displacement(start, scales.shape[0])
    rate = validation.positive("learning_rate", learning_rate, ndim=0)
    B, steps, runs = run_counts(batch_size, n_steps, n_replicates)
    return over_replicates(_gaussian_sgd, jax.random.split(key, runs), scales, displacement, rate, B, steps)


def descent_threshold(
    key: PRNGKeyArray,
    model: ZeroLossModel | RayleighMinimum,
    *,
    bracket: tuple[float, float],
    momentum: ArrayLike = 0.0,
    n_steps: int = 2000,
    n_bisections: int = 40,
) -> Float[Array, ""]:
    r"""Step size at which (heavy-ball) gradient descent stops returning to a minimum, by bisection.

    A run starts at a distance of 3e-8 (times the length of the parameters) in a random direction across the set of
    minima: far enough for residuals not to drown in rounding, close enough for the loss to be quadratic. It counts as
    leaving when its deviation has ever grown by a factor of 1000 (it may then find other minima, or grow so long that
    it is stable), or is larger after ``n_steps`` steps than half way and not yet a thousandth of the first (later ones
    are rounding). Momentum alone can amplify a deviation by about 1 / (1 - beta). Costs ``n_bisections`` runs.

    Parameters
    ----------
    key : PRNG key
        For the direction of the perturbation.
    model : ZeroLossModel or RayleighMinimum
    bracket : (float, float)
        Step sizes to search between; a result at either end means that the threshold is outside.
    momentum : float
        beta in [0, 0.99], :math:`p_t = \beta p_{t-1} + \nabla L`, :math:`w_{t+1} = w_t - \eta p_t`.
    n_steps, n_bisections : int

    Returns
    -------
    array, shape ()

    Raises
    ------
    ValueError
        If a number is out of its range.
    """
    low, high = bracket_ends(bracket)
    beta = validation.require(
        "momentum", validation.nonnegative("momentum", momentum, ndim=0), lambda b: b <= 0.99, "at most 0.99"
    )
    steps = validation.integer("n_steps", n_steps, minimum=2)
    halvings = validation.integer("n_bisections", n_bisections, minimum=1)
    return _descent_threshold(key, model, beta, steps, low, high, halvings)


def _sgd(key: Array, model: ZeroLossModel, start: Array, rate: Array, batch_size: int, n_steps: int) -> Array:
    batches = jax.random.randint(key, (n_steps, batch_size), 0, model.n_samples)

    def step(parameters: Array, batch: Array) -> tuple[Array, None]:
        return parameters - rate * batch_gradient(model, parameters, batch), None

    return jax.lax.scan(step, model.point + start, batches)[0] - model.point


def _gaussian_sgd(key: Array, scales: Array, start: Array, rate: Array, batch_size: int, n_steps: int) -> Array:
    def step(displacement: Array, key: Array) -> tuple[Array, None]:
        x = scales * jax.random.normal(key, (batch_size, scales.shape[0]))
        return displacement - rate * (x @ displacement) @ x / batch_size, None

    return jax.lax.scan(step, start, jax.random.split(key, n_steps))[0]


def batch_gradient(model: ZeroLossModel, parameters: Array, batch: Array) -> Array:
    """Return the gradient of the mean loss over a batch of sample indices, which may repeat."""
    weights = jnp.sum(batch[:, None] == jnp.arange(model.n_samples), axis=0) / batch.shape[0]
    return model.weighted_gradient(parameters, weights)


@eqx.filter_jit
def _descent_threshold(
    key: Array,
    model: ZeroLossModel | RayleighMinimum,
    momentum: Array,
    n_steps: int,
    low: Array,
    high: Array,
    halvings: int,
) -> Array:
    # across the set of minima: along it, a displacement would only lead to a minimum of other curvature
    deviations, pullback = jax.vjp(model.deviation, model.point)
    direction = pullback(jax.random.normal(key, deviations.shape))[0]
    size = jnp.linalg.norm(model.point)
    size = PERTURBATION * jnp.where(size > 0, size, 1.0)
    start = model.point + size * direction / jnp.linalg.norm(direction)

    def leaves(rate: Array) -> Array:
        def step(_: Array, state: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
            parameters, velocity, peak = state
            velocity = momentum * velocity + model.gradient(parameters)
            parameters = parameters - rate * velocity
            return parameters, velocity, jnp.maximum(peak, jnp.linalg.norm(model.deviation(parameters)))

        first = jnp.linalg.norm(model.deviation(start))
        half = jax.lax.fori_loop(0, n_steps // 2, step, (start, jnp.zeros_like(start), first))
        end = jax.lax.fori_loop(n_steps // 2, n_steps, step, half)
        last = jnp.linalg.norm(model.deviation(end[0]))
        returning = (last <= jnp.linalg.norm(model.deviation(half[0]))) | (last <= RETURN * first)
        return ~(returning & (end[2] <= ESCAPE * first))

    return bisect(leaves, low, high, halvings)


def bisect(above: Callable[[Array], Array], low: Array, high: Array, halvings: int) -> Array:
    """Return where ``above`` turns true, between ``low`` and ``high``."""

    def halve(_: Array, ends: tuple[Array, Array]) -> tuple[Array, Array]:
        middle = 0.5 * (ends[0] + ends[1])
        beyond = above(middle)
        return jnp.where(beyond, ends[0], middle), jnp.where(beyond, middle, ends[1])

    low, high = jax.lax.fori_loop(0, halvings, halve, (low, high))
    return 0.5 * (low + high)


def start_displacement(start: ArrayLike, size: int) -> Array:
    """Return a displacement of the right size, or raise ValueError."""
    displacement = validation.finite("start", start, ndim=1)
    if displacement.shape[0] != size:
        raise ValueError(f"start must have {size} entries; got {displacement.shape[0]}")
    return displacement


def run_counts(batch_size: int, n_steps: int, runs: int, name: str = "n_replicates") -> tuple[int, int, int]:
    """Return three counts of at least 1, or raise ValueError."""
    return (
        validation.integer("batch_size", batch_size, minimum=1),
        validation.integer("n_steps", n_steps, minimum=1),
        validation.integer(name, runs, minimum=1),
    )


def bracket_ends(bracket: tuple[float, float]) -> tuple[Array, Array]:
    """Return the ends of a bracket of step sizes, or raise ValueError."""
    low, high = (validation.positive("bracket", end, ndim=0) for end in bracket)
    if validation.is_concrete(low) and not low < high:
        raise ValueError(f"bracket must be (low, high) with low < high; got {bracket}")
    return low, high
