r"""Train networks without contrastive pairs: by gradient descent, by gradient flow, or with an observable as clock.

Flows are integrated to tolerance by an adaptive Runge-Kutta method of order 8 from one requested time to
the next.
"""

from collections.abc import Callable, Sequence
from typing import Any

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.flatten_util import ravel_pytree
from jax.typing import ArrayLike
from jaxtyping import Float

from simulations import validation
from simulations.deep_linear.noncontrastive import (
    Learning,
    Networks,
    NetworksLike,
    check_networks,
    require_steps,
    velocity,
)

Observe = Callable[[Networks], Any]

RTOL, ATOL = 1e-11, 1e-13
MAX_STEPS = 100_000


def descend_without_contrast(
    networks: NetworksLike,
    learning: Learning,
    *,
    learning_rate: ArrayLike,
    steps: Sequence[int],
    observe: Observe | None = None,
) -> Any:
    r"""Gradient descent in the population, observed after given numbers of steps; a step takes ``learning_rate``.

    Costs one gradient a step. Step counts and rates are traced, so that one compilation serves all of them.

    Parameters
    ----------
    networks : Networks
        Initial networks, left as they are.
    learning : Learning
        What to learn from, and how.
    learning_rate : float
        Step size, positive.
    steps : sequence of int
        Step counts, nonnegative and nondecreasing.
    observe : callable, optional
        Maps networks to arrays; the networks themselves when left out.

    Returns
    -------
    pytree
        Observations, stacked over ``steps`` on the first axis.

    Raises
    ------
    ValueError
        If the networks do not fit, ``learning_rate`` <= 0, or ``steps`` are not nonnegative and nondecreasing.
    """
    start = check_networks(networks, learning)
    rate = validation.positive("learning_rate", learning_rate, ndim=0)
    return _descend(start, learning, rate, jnp.asarray(require_steps(steps)), observe or _all_networks)


def flow_without_contrast(
    networks: NetworksLike,
    learning: Learning,
    *,
    times: Float[ArrayLike, " times"] | Sequence[ArrayLike],
    observe: Observe | None = None,
    rtol: ArrayLike = RTOL,
    atol: ArrayLike = ATOL,
    max_steps: int = MAX_STEPS,
) -> Any:
    r"""Integrate the flow of all three networks, and observe it at given times, nonnegative and increasing.

    Costs 12 gradients a step; explicit, so that steps grow in number with the fastest rate times the last time.

    Returns
    -------
    pytree
        Observations, stacked over ``times`` on the first axis.

    Raises
    ------
    ValueError
        If the networks do not fit, or a number is out of its range.
    RuntimeError
        If ``max_steps`` did not suffice; under a transformation such as `jax.vmap` results are NaN instead.
    """
    start = check_networks(networks, learning)
    moments = _increasing("times", times)
    observations, finished = _integrate(start, learning, moments, observe or _all_networks, rtol, atol, max_steps)
    return _finished(observations, finished, max_steps)


def passage_times(
    networks: NetworksLike,
    learning: Learning,
    *,
    observe: Callable[[Networks], Array],
    levels: Float[ArrayLike, " levels"] | Sequence[ArrayLike],
    rtol: ArrayLike = RTOL,
    atol: ArrayLike = ATOL,
    max_steps: int = MAX_STEPS,
) -> Float[Array, " levels"]:
    r"""Return the times at which an observable of the flow, monotone on the way, passes levels in their order.

    The observable g takes the place of time: :math:`dt/dg = 1/\dot g`, and networks change by their velocity over
    :math:`\dot g`. Times are thus as accurate as the flow, and never interpolated.

    Parameters
    ----------
    networks, learning, rtol, atol, max_steps
        As in :func:`flow_without_contrast`.
    observe : callable
        Maps networks to one number, differentiably.
    levels : array_like
        Levels on one side of where the observable starts, the nearest first.

    Returns
    -------
    array
        Times, one a level; negative where the observable moves away from its levels, which it came from.

    Raises
    ------
    ValueError
        If the networks do not fit, or levels are not in order.
    RuntimeError
        If ``max_steps`` did not suffice, as where the observable comes to rest on the way.
    """
    start = check_networks(networks, learning)
    marks = validation.finite("levels", levels, ndim=1)
    first = observe(start)
    shares = (marks - first) / (marks[-1] - first)
    if validation.is_concrete(shares) and not (np.diff(shares, prepend=0.0) > 0).all():
        raise ValueError(f"levels must lead away from the start at {first:g}, one by one; got {marks.tolist()}")
    times, finished = _pass(start, learning, shares, marks[-1] - first, observe, rtol, atol, max_steps)
    return _finished(times, finished, max_steps)


@eqx.filter_jit
def largest_surviving_decay(
    networks: Networks,
    learning: Learning,
    *,
    highest: ArrayLike,
    learning_rate: ArrayLike,
    steps: ArrayLike,
    halvings: ArrayLike,
    remains: ArrayLike = 1e-3,
) -> Float[Array, ""]:
    r"""Find, by bisection, the largest weight decay under which gradient descent keeps representations alive.

    Alive is what has more than the share ``remains`` of its initial power after ``steps``. Just above the threshold
    networks linger before they collapse, so that the result exceeds it by a share that falls as 1 / steps^2. Costs
    ``steps`` times ``halvings`` gradients.
    """
    power = jnp.sum(networks.online**2)

    def halve(_: int, bracket: tuple[Array, Array]) -> tuple[Array, Array]:
        low, high = bracket
        decay = 0.5 * (low + high)
        rule = eqx.tree_at(lambda r: (r.weight_decay, r.predictor_decay), learning, (decay, decay))
        end = _descend(networks, rule, jnp.asarray(learning_rate), jnp.asarray(steps)[None], _all_networks)
        alive = jnp.sum(end.online**2) > remains * power
        return jnp.where(alive, decay, low), jnp.where(alive, high, decay)

    return jax.lax.fori_loop(0, halvings, halve, (jnp.zeros(()), jnp.asarray(highest, dtype=float)))[0]


@eqx.filter_jit
def _descend(start: Networks, learning: Learning, rate: Array, counts: Array, observe: Observe) -> Any:
    def step(_: int, networks: Networks) -> Networks:
        return jax.tree.map(lambda w, v: w + rate * v, networks, velocity(networks, learning))

    def until(networks: Networks, more: Array) -> tuple[Networks, Any]:
        networks = jax.lax.fori_loop(0, more, step, networks)
        return networks, observe(networks)

    return jax.lax.scan(until, start, jnp.diff(counts, prepend=0))[1]


@eqx.filter_jit
def _integrate(
    start: Networks,
    learning: Learning,
    times: Array,
    observe: Observe,
    rtol: ArrayLike,
    atol: ArrayLike,
    max_steps: int,
) -> tuple[Any, Array]:
    def field(_: Array, networks: Networks, __: None) -> Networks:
        return velocity(networks, learning)

    return _solve(field, start, times, lambda networks: observe(networks), rtol, atol, max_steps)


@eqx.filter_jit
def _pass(
    start: Networks,
    learning: Learning,
    shares: Array,
    distance: Array,
    observe: Callable[[Networks], Array],
    rtol: ArrayLike,
    atol: ArrayLike,
    max_steps: int,
) -> tuple[Any, Array]:
    def field(_: Array, state: tuple[Array, Networks], __: None) -> tuple[Array, Networks]:
        flow = velocity(state[1], learning)
        slope = jax.jvp(observe, (state[1],), (flow,))[1]
        pace = distance / slope
        return pace, jax.tree.map(lambda v: pace * v, flow)

    return _solve(field, (jnp.zeros(()), start), shares, lambda state: state[0], rtol, atol, max_steps)


def _solve(
    field: Callable, start: Any, times: Array, observe: Callable, rtol: ArrayLike, atol: ArrayLike, max_steps: int
) -> tuple[Any, Array]:
    """Integrate from one time to the next; ``max_steps`` is for each of these legs."""
    y0, unravel = ravel_pytree(start)
    controller = diffrax.PIDController(rtol=jnp.asarray(rtol), atol=jnp.asarray(atol))

    def flat_field(t: Any, y: Array, args: None) -> Array:
        return ravel_pytree(field(t, unravel(y), args))[0]

    def leg(state: tuple[Array, Array, Array], until: Array) -> tuple[tuple[Array, Array, Array], Any]:
        y, since, finished = state
        solution = diffrax.diffeqsolve(
            diffrax.ODETerm(flat_field),
            diffrax.Dopri8(),
            t0=since,
            t1=until,
            dt0=None,
            y0=y,
            saveat=diffrax.SaveAt(t1=True),
            stepsize_controller=controller,
            adjoint=diffrax.ForwardMode(),
            max_steps=max_steps,
            throw=False,
        )
        assert solution.ys is not None
        y = solution.ys[-1]
        return (y, until, finished & diffrax.is_okay(solution.result)), observe(unravel(y))

    (_, _, finished), observations = jax.lax.scan(leg, (y0, jnp.zeros(()), jnp.array(True)), times)
    return jax.tree.map(lambda value: jnp.where(finished, value, jnp.nan), observations), finished


def _finished(observations: Any, finished: Array, max_steps: int) -> Any:
    if validation.is_concrete(finished) and not finished.all():
        raise RuntimeError(f"max_steps must be larger: the integrator gave up after {max_steps} steps")
    return observations


def _increasing(name: str, value: ArrayLike | Sequence) -> Array:
    array = validation.nonnegative(name, value, ndim=1)
    if array.shape[0] == 0:
        raise ValueError(f"{name} must hold at least one number; got none")
    if validation.is_concrete(array) and (np.diff(np.asarray(array)) <= 0).any():
        raise ValueError(f"{name} must be increasing; got {np.asarray(array).tolist()}")
    return array


def _all_networks(networks: Networks) -> Networks:
    return networks
