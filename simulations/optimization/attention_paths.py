r"""Minimisers over attention weights of bounded norm, and the least norm that clears every margin.

The regularisation path minimises the training loss over balls of growing radius; the least-norm problem replaces the
loss by hard margins. Either is posed for W itself or for factors of it, where the norm is that of both factors.
"""

# ruff: noqa: F821

from collections.abc import Sequence
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.flatten_util import ravel_pytree
from jax.typing import ArrayLike
from jaxtyping import Float

from simulations import validation
from simulations.optimization.attention import (
    Factors,
    SelectionTask,
    Task,
    Weights,
    attention_loss,
    check_optimal,
    check_weights,
    margins_of,
    over_instances,
)

_MEMORY = 10
_CURVATURES = (1e-8, 1e8)
_SUFFICIENT = 1e-4
_HALVINGS = 40
_PENALTIES = 10.0 * 4.0 ** np.minimum(np.arange(14), 5)
_NEWTON_STEPS = 40
_APPROACH = np.arange(8) / 8


class RegularizationPath(NamedTuple):
    """Minimisers over balls: ``weights`` and log of the excess ``log_loss``, and how stationary they are.

    ``stationarity`` is the part of the gradient's length that could still be followed: on the sphere, the sine of the
    angle between descent and weights. The first axis is the radius.
    """

    weights: Weights
    log_loss: Float[Array, "radii *batch"]
    stationarity: Float[Array, "radii *batch"]


class LeastNorm(NamedTuple):
    """Least-norm ``weights`` that clear all margins, half their squared norm ``value``, and the smallest ``margin``."""

    weights: Weights
    value: Float[Array, "*batch"]
    margin: Float[Array, "*batch"]


def regularization_path(
    weights: Weights,
    task: Task,
    *,
    radii: Sequence[float] | ArrayLike,
    tolerance: float = 1e-9,
    max_iterations: int = 20_000,
) -> RegularizationPath:
    r"""Minimise the loss over :math:`\|W\|_F \le R`, or over :math:`\|K\|_F^2 + \|Q\|_F^2 \le 2R` for factors.

    Spectral projected gradient on the log of the loss (a monotone change that keeps gradients of order 1 however small
    the loss), each radius started from the previous minimiser, scaled, and the first from that of eight smaller balls,
    the smallest through the start: one where nothing is saturated yet. A local method, for which starts of several
    norms and directions give several candidates, see :func:`lowest_start`. It also stops where rounding hides every
    descent, as in the flat far end of a selection that is not the best. Costs about 10^2 to 10^4 gradients a radius.

    Parameters
    ----------
    weights : Weights
        Start, not zero, with the task's leading axes.
    task : Task
        What to learn; leading axes hold independent instances.
    radii : sequence of float
        R > 0, increasing.
    tolerance : float
        Stationarity at which to stop.
    max_iterations : int
        Iterations a radius after which to stop anyway; ``stationarity`` tells.

    Returns
    -------
    RegularizationPath

    Raises
    ------
    ValueError
        If weights do not fit the task or are zero, or a number is out of its range.
    """
    start = _check_start(weights, task)
    R = validation.positive("radii", np.asarray(radii), ndim=1)
    if R.shape[0] == 0 or (np.diff(np.asarray(R)) <= 0).any():
        raise ValueError(f"radii must be increasing, at least one; got {np.asarray(R).tolist()}")
    validation.positive("tolerance", tolerance, ndim=0)
    limit = validation.integer("max_iterations", max_iterations, minimum=1)
    return _path(start, task, R, jnp.asarray(tolerance), jnp.asarray(limit))


def lowest_start(path: RegularizationPath) -> RegularizationPath:
    """Keep, at every radius and for every instance, the start of least loss; starts are on the axis after the radii."""
    best = jnp.argmin(path.log_loss, axis=1, keepdims=True)

    def pick(leaf: Array) -> Array:
        index = best.reshape(best.shape + (1,) * (leaf.ndim - best.ndim))
        return jnp.take_along_axis(leaf, index, axis=1)[:, 0]

    return jax.tree.map(pick, path)


def least_norm_attention(weights: Weights, tokens: ArrayLike, queries: ArrayLike, optimal: ArrayLike) -> LeastNorm:
    r"""Minimise half the squared norm of the weights subject to margins of at least 1 for given tokens.

    Of W itself, or of both factors: :math:`\tfrac12(\|K\|_F^2 + \|Q\|_F^2)`, a non-convex problem. Augmented Lagrangian
    with a fixed schedule of penalties; inner problems by Newton steps with absolute curvatures. Costs
    O(p^3) a step for p weights. Meant for margins that can be cleared: the result's ``margin`` tells.

    Parameters
    ----------
    weights : Weights
        Start, not zero (a saddle, for factors), with the tokens' leading axes.
    tokens : array_like, shape (..., n, T, d)
    queries : array_like, shape (..., n, d)
    optimal : array_like of int, shape (..., n)
        Token to select in each input.

    Returns
    -------
    LeastNorm

    Raises
    ------
    ValueError
        If shapes disagree or the start is zero.
    """
    x = validation.finite("tokens", tokens)
    task = SelectionTask(x, queries, jnp.zeros(x.shape[:-1]))
    return _least_norm(_check_start(weights, task), task, check_optimal(optimal, task.tokens))


def _check_start(weights: Weights, task: Task) -> Weights:
    start = check_weights(weights, task)
    axes = (-2, -1)
    size = sum(jnp.sum(leaf**2, axis=axes) for leaf in jax.tree.leaves(start))
    validation.require("weights", jnp.asarray(size), lambda squares: squares > 0, "nonzero (here: squared norms)")
    return start


def _one_by_one() -> bool:
    # side by side, every instance runs for as long as the slowest: worth it only where that costs no time
    return jax.default_backend() == "cpu"


@eqx.filter_jit
def _path(start: Weights, task: Task, radii: Array, tolerance: Array, limit: Array) -> RegularizationPath:
    factored = isinstance(start, Factors)

    def one(weights: Weights, instance: Task) -> RegularizationPath:
        flat, unravel = ravel_pytree(weights)

        def log_loss(y: Array) -> Array:
            return jnp.log(attention_loss(unravel(y), instance))

        def at_radius(y: Array, radius: Array) -> tuple[Array, tuple[Array, Array, Array]]:
            length = jnp.sqrt(2 * radius) if factored else radius
            y, value, stationarity = _projected_descent(
                log_loss, y * length / jnp.linalg.norm(y), length, tolerance, limit
            )
            return y, (y, value, stationarity)

        first = flat @ flat / 2 if factored else jnp.linalg.norm(flat)
        small, _ = jax.lax.scan(at_radius, flat, first * (radii[0] / first) ** jnp.asarray(_APPROACH))
        _, (ys, values, stationarities) = jax.lax.scan(at_radius, small, radii)
        return RegularizationPath(jax.vmap(unravel)(ys), values, stationarities)

    paths = over_instances(one, task, sequential=_one_by_one())(start, task)
    axis = task.tokens.ndim - 3
    return jax.tree.map(lambda leaf: jnp.moveaxis(leaf, axis, 0), paths)


def _projected_descent(objective, start: Array, radius: Array, tolerance: Array, limit: Array):
    """Birgin, Martinez, Raydan (2000): spectral step lengths, nonmonotone line search, here over a ball."""
    evaluate = jax.value_and_grad(objective)

    def project(y: Array) -> Array:
        return y * jnp.minimum(1.0, radius / jnp.linalg.norm(y))

    def stationarity(y: Array, g: Array) -> Array:
        length, norm = jnp.linalg.norm(g), jnp.linalg.norm(y)
        unit, outward = y / norm, -g / jnp.where(length > 0, length, 1.0)
        along = unit @ outward
        held = (norm >= radius * (1 - 1e-12)) & (along > 0)
        return jnp.where(held, jnp.linalg.norm(outward - along * unit), jnp.linalg.norm(outward))

    def unfinished(state) -> Array:
        y, _, g, _, _, k, moving = state
        return moving & (stationarity(y, g) > tolerance) & (k < limit)

    def iterate(state):
        y, value, g, step, recent, k, _ = state
        d = project(y - step * g) - y
        slope = g @ d
        # values this close differ by rounding only
        ceiling = recent.max() + 1e-14 * jnp.abs(value)

        def too_high(search):
            fraction, halvings = search
            trial = objective(y + fraction * d)
            return ~(trial <= ceiling + _SUFFICIENT * fraction * slope) & (halvings < _HALVINGS)

        fraction, _ = jax.lax.while_loop(too_high, lambda s: (s[0] / 2, s[1] + 1), (jnp.ones(()), 0))
        moved = y + fraction * d
        new_value, new_g = evaluate(moved)
        s, r = moved - y, new_g - g
        curvature = s @ r
        step = jnp.where(curvature > 0, (s @ s) / jnp.where(curvature > 0, curvature, 1.0), _CURVATURES[1])
        recent = recent.at[k % _MEMORY].set(new_value)
        moving = jnp.linalg.norm(s) > 1e-15 * radius
        return moved, new_value, new_g, jnp.clip(step, *_CURVATURES), recent, k + 1, moving

    value, g = evaluate(start)
    state = (start, value, g, jnp.ones(()), jnp.full(_MEMORY, value), 0, jnp.asarray(True))
    y, value, g, *_ = jax.lax.while_loop(unfinished, iterate, state)
    return y, value, stationarity(y, g)


@eqx.filter_jit
def _least_norm(start: Weights, task: SelectionTask, optimal: Array) -> LeastNorm:
    def one(weights: Weights, instance: SelectionTask, chosen: Array) -> LeastNorm:
        flat, unravel = ravel_pytree(weights)

        def margins(y: Array) -> Array:
            w = unravel(y)
            W = w.key @ w.query.T if isinstance(w, Factors) else w
            return margins_of(W, instance.tokens, instance.queries, chosen).ravel()

        def lagrangian(y: Array, multipliers: Array, penalty: Array) -> Array:
            pressed = jnp.maximum(0.0, multipliers + penalty * (1 - margins(y)))
            return 0.5 * y @ y + pressed @ pressed / (2 * penalty)

        def tighten(state, penalty: Array):
            y, multipliers = state
            y = _absolute_newton(lambda v: lagrangian(v, multipliers, penalty), y)
            return (y, jnp.maximum(0.0, multipliers + penalty * (1 - margins(y)))), None

        count = margins(flat).shape[0]
        (y, _), _ = jax.lax.scan(tighten, (flat, jnp.zeros(count)), jnp.asarray(_PENALTIES))
        return LeastNorm(unravel(y), 0.5 * y @ y, margins(y).min())

    return over_instances(one, task, sequential=_one_by_one())(start, task, optimal)


def _absolute_newton(objective, start: Array) -> Array:
    """Descend by Newton steps in which every curvature counts by its absolute value, so that saddles repel."""

    def unfinished(state) -> Array:
        y, k = state
        return (jnp.linalg.norm(jax.grad(objective)(y)) > 1e-11 * (1 + jnp.linalg.norm(y))) & (k < _NEWTON_STEPS)

    def iterate(state):
        y, k = state
        value, g = jax.value_and_grad(objective)(y)
        curvatures, directions = jnp.linalg.eigh(jax.hessian(objective)(y))
        d = -directions @ ((directions.T @ g) / jnp.maximum(jnp.abs(curvatures), 1e-6))

        def too_high(search):
            fraction, halvings = search
            trial = objective(y + fraction * d)
            return ~(trial <= value * (1 + 1e-15) + _SUFFICIENT * fraction * (g @ d)) & (halvings < _HALVINGS)

        fraction, _ = jax.lax.while_loop(too_high, lambda s: (s[0] / 2, s[1] + 1), (jnp.ones(()), 0))
        return y + fraction * d, k + 1

    return jax.lax.while_loop(unfinished, iterate, (start, 0))[0]
