r"""Scale-invariant weights under momentum: losses that ignore the norm, and walks that know only orthogonality.

Updates are :math:`p_t = \beta p_{t-1} + \nabla f(w_t)`, :math:`w_{t+1} = w_t - \eta p_t`, without momentum at first.
"""

from collections.abc import Callable
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike
from jaxtyping import Float, PRNGKeyArray

from simulations import validation
from simulations.replicates import over_replicates


class MomentumRun(NamedTuple):
    """Weights w_0, ..., w_T and updates p_0, ..., p_{T-1} of a run."""

    weights: Float[Array, "steps_and_one d"]
    updates: Float[Array, "steps d"]


class TangentWalk(NamedTuple):
    """Squared norms of weights, t = 0, ..., T, and of updates, t = 0, ..., T - 1, in independent walks."""

    weights: Float[Array, "replicates steps_and_one"]
    updates: Float[Array, "replicates steps"]


def normalized_logistic(weights: Float[Array, " d"], signed_features: Float[Array, "n d"]) -> Float[Array, ""]:
    """Logistic loss of the margins b_i.w / |w|, which do not depend on the norm of w."""
    return jnp.mean(jax.nn.softplus(-signed_features @ weights / jnp.linalg.norm(weights)))


def momentum_descent(
    loss: Callable[[Array, Array], Array],
    data: ArrayLike,
    start: ArrayLike,
    *,
    learning_rate: ArrayLike,
    momentum: ArrayLike,
    n_steps: int,
    project: bool = False,
) -> MomentumRun:
    r"""Descend ``loss(w, data)`` with momentum and keep every weight and update.

    Parameters
    ----------
    loss : callable
        Such as :func:`normalized_logistic` or :func:`simulations.optimization.minima.rayleigh_quotient`.
    data : array_like
        Second argument of the loss.
    start : array_like, shape (d,)
        w_0, not zero.
    learning_rate : float
        eta > 0.
    momentum : float
        beta in [0, 1).
    n_steps : int
        T >= 1.
    project : bool
        Apply only the part of each update that is orthogonal to the weights (the momentum keeps all of it).

    Returns
    -------
    MomentumRun
        ``updates`` are p_t as accumulated, whether projected or not when applied.

    Raises
    ------
    ValueError
        If a number is out of its range.
    """
    values = validation.finite("data", data)
    w = validation.finite("start", start, ndim=1)
    rate = validation.positive("learning_rate", learning_rate, ndim=0)
    beta = validation.require(
        "momentum", validation.nonnegative("momentum", momentum, ndim=0), lambda b: b < 1, "below 1"
    )
    steps = validation.integer("n_steps", n_steps, minimum=1)
    return _descend(loss, values, w, rate, beta, steps, bool(project))


def tangent_walk(
    key: PRNGKeyArray,
    *,
    dimension: int,
    learning_rate: ArrayLike,
    momentum: ArrayLike,
    n_steps: int,
    n_replicates: int,
    equal: str = "gradients",
) -> TangentWalk:
    r"""Walk by momentum along random gradients that are orthogonal to the weights, from weights of norm 1.

    Gradients have uniformly random tangent directions and unit length, or, with ``equal="updates"``, the length that
    makes every update p_t a unit vector.

    Parameters
    ----------
    key : PRNG key
    dimension : int
        d >= 2.
    learning_rate : float
        eta > 0.
    momentum : float
        beta in [0, 1).
    n_steps, n_replicates : int
        At least 1.
    equal : {"gradients", "updates"}

    Returns
    -------
    TangentWalk

    Raises
    ------
    ValueError
        If a number is out of its range or ``equal`` unknown.
    """
    d = validation.integer("dimension", dimension, minimum=2)
    rate = validation.positive("learning_rate", learning_rate, ndim=0)
    beta = validation.require(
        "momentum", validation.nonnegative("momentum", momentum, ndim=0), lambda b: b < 1, "below 1"
    )
    steps = validation.integer("n_steps", n_steps, minimum=1)
    runs = validation.integer("n_replicates", n_replicates, minimum=1)
    unit_updates = validation.choice("equal", equal, ("gradients", "updates")) == "updates"
    return over_replicates(_walk, jax.random.split(key, runs), rate, beta, d, steps, unit_updates)


@eqx.filter_jit
def _descend(loss, data: Array, start: Array, rate: Array, beta: Array, n_steps: int, project: bool) -> MomentumRun:
    def step(state: tuple[Array, Array], _: None):
        w, p = state
        p = beta * p + jax.grad(loss)(w, data)
        applied = p - w * (w @ p) / (w @ w) if project else p
        moved = w - rate * applied
        return (moved, p), (moved, p)

    _, (weights, updates) = jax.lax.scan(step, (start, jnp.zeros_like(start)), length=n_steps)
    return MomentumRun(weights=jnp.concatenate([start[None], weights]), updates=updates)


def _walk(key: Array, rate: Array, beta: Array, d: int, n_steps: int, unit_updates: bool) -> TangentWalk:
    def step(state: tuple[Array, Array], key: Array):
        w, p = state
        direction = jax.random.normal(key, (d,))
        direction = direction - w * (w @ direction) / (w @ w)
        direction = direction / jnp.linalg.norm(direction)
        carried = beta * p
        along = direction @ carried
        # |carried + length * direction| = 1
        length = jnp.sqrt(along**2 + 1 - carried @ carried) - along if unit_updates else 1.0
        p = carried + length * direction
        w = w - rate * p
        return (w, p), (w @ w, p @ p)

    start = jnp.zeros(d).at[0].set(1.0)
    _, (weights, updates) = jax.lax.scan(step, (start, jnp.zeros(d)), jax.random.split(key, n_steps))
    return TangentWalk(weights=jnp.concatenate([jnp.ones(1), weights]), updates=updates)
