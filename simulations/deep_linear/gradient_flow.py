r"""Gradient flow :math:`\tau \dot W_l = -\partial L / \partial W_l` on the weight matrices, to integrator tolerance.

Adaptive Runge-Kutta of order 8 (Dormand-Prince). Solutions are never interpolated: the integrator steps exactly onto
the requested times, and lands on a level by changing its independent variable (Hénon 1982, Physica D 5, 412).
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.flatten_util import ravel_pytree
from jax.typing import ArrayLike
from jaxtyping import Bool, Float

from simulations import validation
from simulations.deep_linear.gradient_descent import Observe
from simulations.deep_linear.networks import Task, Weights, WeightsLike, check_weights, loss

RTOL = 1e-11
ATOL = 1e-13


class Crossings(NamedTuple):
    """First ``times`` at which observables meet their levels (infinite when never), and which were ``reached``."""

    times: Float[Array, " levels"]
    reached: Bool[Array, " levels"]


def gradient_flow(
    weights: WeightsLike,
    task: Task,
    *,
    times: Float[ArrayLike, " times"] | Sequence[ArrayLike],
    observe: Observe | None = None,
    tau: ArrayLike = 1.0,
    rtol: ArrayLike = RTOL,
    atol: ArrayLike = ATOL,
    max_steps: int = 1_000_000,
) -> Any:
    r"""Integrate the gradient flow from ``weights`` and observe it at the given times.

    Costs 12 gradients a step; explicit, so that the number of steps grows in proportion to the stiffest rate.

    Parameters
    ----------
    weights : Weights
        Weights at time 0, left as they are.
    task : Task
        What to learn.
    times : sequence of float
        Nonnegative and increasing, in the units of ``tau``.
    observe : callable, optional
        Maps weights to arrays (or a pytree of them); the weights themselves when left out.
    tau : float
        Time constant > 0.
    rtol, atol : float
        Local error allowed in a step, relative and absolute, in root mean square over the weights.
    max_steps : int
        Number of integrator steps after which to give up.

    Returns
    -------
    pytree
        Observations, stacked over ``times`` on the first axis.

    Raises
    ------
    ValueError
        If the network does not fit the task, or a number is out of its range.
    RuntimeError
        If ``max_steps`` did not suffice; under a transformation such as `jax.vmap` results are NaN instead.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> task = Task.from_moments(jnp.array([[1.0]]))
    >>> u = gradient_flow((jnp.zeros((1, 1)),), task, times=[0.0, 1.0], observe=lambda w: w[0][0, 0])
    >>> bool(abs(u[1] - (1 - jnp.exp(-1))) < 1e-10)
    True
    """
    start = check_weights(weights, task)
    moments = validation.nonnegative("times", np.asarray(times), ndim=1)
    if moments.shape[0] == 0:
        raise ValueError("times must hold at least one time; got none")
    if validation.is_concrete(moments) and (np.diff(np.asarray(moments)) <= 0).any():
        raise ValueError(f"times must be increasing; got {np.asarray(moments).tolist()}")
    tolerances = _tolerances(rtol, atol)
    tau = validation.positive("tau", tau, ndim=0)
    max_steps = validation.integer("max_steps", max_steps, minimum=1)
    observations, finished = _flow(start, task, moments / tau, observe or _all_weights, tolerances, max_steps)
    _require_finished(finished, max_steps)
    return observations


def crossing_times(
    weights: WeightsLike,
    task: Task,
    *,
    observe: Callable[[Weights], Array],
    levels: Float[ArrayLike, " levels"] | Sequence[ArrayLike],
    max_time: ArrayLike,
    tau: ArrayLike = 1.0,
    rtol: ArrayLike = RTOL,
    atol: ArrayLike = ATOL,
    max_steps: int = 1_000_000,
) -> Crossings:
    r"""First times at which observables of the gradient flow meet given levels.

    The integrator runs until the observable g passes its level; the last stretch is integrated in g instead of t
    (:math:`dt/dg = 1/\dot g`), so that the time is as accurate as the flow itself. An observable must be monotone
    within one integrator step around its crossing. Costs one integration for each level.

    Parameters
    ----------
    weights, task, tau, rtol, atol, max_steps
        As in :func:`gradient_flow`.
    observe : callable
        Maps weights to an array of shape (m,), differentiably.
    levels : array_like, shape (m,)
        One level for each observable; met from either side.
    max_time : float
        Time after which to give up, in the units of ``tau``.

    Returns
    -------
    Crossings
        ``times`` of shape (m,), in the units of ``tau``, and ``reached``. An observable that starts on its level
        has time 0.

    Raises
    ------
    ValueError
        If the network does not fit the task, a number is out of its range, or ``observe`` does not return one
        number for each level.
    RuntimeError
        If ``max_steps`` did not suffice; under a transformation such as `jax.vmap` results are NaN instead.
    """
    start = check_weights(weights, task)
    targets = validation.finite("levels", levels, ndim=1)
    shape = jax.eval_shape(observe, start).shape
    if shape != targets.shape:
        raise ValueError(f"observe must return one number for each level, shape {targets.shape}; got {shape}")
    horizon = validation.positive("max_time", max_time, ndim=0)
    tau = validation.positive("tau", tau, ndim=0)
    max_steps = validation.integer("max_steps", max_steps, minimum=1)
    crossings, finished = _cross(start, task, observe, targets, horizon / tau, _tolerances(rtol, atol), max_steps)
    _require_finished(finished, max_steps)
    return Crossings(times=tau * crossings.times, reached=crossings.reached)


@eqx.filter_jit
def _flow(
    start: Weights, task: Task, times: Array, observe: Observe, tolerances: tuple[Array, Array], max_steps: int
) -> tuple[Any, Array]:
    y0, unravel = ravel_pytree(start)
    controller = diffrax.ClipStepSizeController(_controller(tolerances), step_ts=times)
    solution = diffrax.diffeqsolve(
        diffrax.ODETerm(_velocity(task, unravel)),
        diffrax.Dopri8(),
        t0=0.0,
        t1=times[-1],
        dt0=None,
        y0=y0,
        saveat=diffrax.SaveAt(ts=times, fn=lambda t, y, args: observe(unravel(y))),
        stepsize_controller=controller,
        adjoint=diffrax.ForwardMode(),
        max_steps=max_steps,
        throw=False,
    )
    finished = diffrax.is_okay(solution.result)
    return jax.tree.map(lambda y: jnp.where(finished, y, jnp.nan), solution.ys), finished


@eqx.filter_jit
def _cross(
    start: Weights,
    task: Task,
    observe: Callable[[Weights], Array],
    levels: Array,
    horizon: Array,
    tolerances: tuple[Array, Array],
    max_steps: int,
) -> tuple[Crossings, Array]:
    y0, unravel = ravel_pytree(start)
    velocity = _velocity(task, unravel)

    def first_time(index: Array) -> tuple[Crossings, Array]:
        def height(y: Array) -> Array:
            return observe(unravel(y))[index] - levels[index]

        initial = height(y0)

        # One solver graph serves both legs: out along t until the level is passed, then back to it along the share
        # of the height that is still to be undone.
        def leg(state: tuple[Array, Array], landing: Array) -> tuple[tuple[Array, Array], tuple[Array, Array]]:
            past = height(state[1])
            reached = past * initial <= 0

            def field(_: Any, point: tuple[Array, Array], args: None) -> tuple[Array, Array]:
                flow = velocity(_, point[1], args)
                _, slope = jax.jvp(height, (point[1],), (flow,))
                back = jnp.where(reached, -past / jnp.where(slope == 0, 1.0, slope), 0.0)
                rate = jnp.where(landing, back, 1.0)
                return rate, rate * flow

            def passed(t: Array, point: tuple[Array, Array], args: None, **_: Any) -> Array:
                return (height(point[1]) * initial <= 0) & ~landing

            solution = diffrax.diffeqsolve(
                diffrax.ODETerm(field),
                diffrax.Dopri8(),
                t0=0.0,
                t1=jnp.where(landing, 1.0, horizon),
                dt0=None,
                y0=state,
                saveat=diffrax.SaveAt(t1=True),
                stepsize_controller=_controller(tolerances),
                adjoint=diffrax.ForwardMode(),
                event=diffrax.Event(passed),
                max_steps=max_steps,
                throw=False,
            )
            assert solution.ys is not None
            time, y = solution.ys
            return (time[-1], y[-1]), (reached, diffrax.is_okay(solution.result))

        (time, _), (reached, finished) = jax.lax.scan(leg, (jnp.zeros(()), y0), jnp.array([False, True]))
        time = jnp.where(initial == 0, 0.0, jnp.where(reached[-1], time, jnp.inf))
        time = jnp.where(finished.all(), time, jnp.nan)
        return Crossings(times=time, reached=reached[-1]), finished.all()

    return jax.lax.map(first_time, jnp.arange(levels.shape[0]))


def _require_finished(finished: Array, max_steps: int) -> None:
    # checked outside the compiled code: a check inside would be a callback, which the compilation cache cannot keep
    if validation.is_concrete(finished) and not finished.all():
        raise RuntimeError(f"max_steps must be larger: the integrator gave up after {max_steps} steps")


def _velocity(task: Task, unravel: Callable[[Array], Weights]) -> Callable[[Any, Array, Any], Array]:
    slope = jax.grad(lambda y: loss(unravel(y), task))
    return lambda t, y, args: -slope(y)


def _controller(tolerances: tuple[Array, Array]) -> diffrax.PIDController:
    rtol, atol = tolerances
    return diffrax.PIDController(rtol=rtol, atol=atol)


def _tolerances(rtol: ArrayLike, atol: ArrayLike) -> tuple[Array, Array]:
    return validation.positive("rtol", rtol, ndim=0), validation.positive("atol", atol, ndim=0)


def _all_weights(weights: Weights) -> Weights:
    return weights
