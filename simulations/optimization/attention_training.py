r"""Training attention weights for times that grow exponentially: gradient flow in log time, normalised descent.

Margins of trained attention grow like log t. The flow is integrated in :math:`\tau = \log(1 + t)`, where it settles, by
an implicit method; descent takes steps of one length, so that k of them amount to a time exponential in k.
"""

from collections.abc import Sequence

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.flatten_util import ravel_pytree
from jax.typing import ArrayLike

from simulations import validation
from simulations.optimization.attention import (
    SelectionTask,
    Task,
    Weights,
    attention_loss,
    check_weights,
    over_instances,
)


def attention_flow(
    weights: Weights,
    task: Task,
    *,
    times: Sequence[float] | ArrayLike,
    rtol: float | None = None,
    max_steps: int = 100_000,
) -> Weights:
    r"""Integrate :math:`\dot W = -\nabla L(W)`, or the same for both factors, and record the weights.

    In :math:`\tau = \log(1 + t)` the right-hand side is :math:`-(1 + t)\nabla L`, of order 1 however late; the
    integrator (Kvaerno's implicit pair of order 5) steps exactly onto the recorded times. Costs O(p^3) a step for p
    weights.

    Parameters
    ----------
    weights : Weights
        Weights at time 0, with the task's leading axes.
    task : Task
        What to learn; leading axes hold independent instances, integrated one after another on a CPU and side by side
        elsewhere.
    times : sequence of float
        Positive and increasing.
    rtol : float, optional
        Relative error allowed in a step, in root mean square over the weights; a hundredth of it is allowed absolutely.
        Left out, 1e-9 for a selection task. A regression task has weights that relax at rates of order t, which turn
        the rounding of the weights into errors of order 1e-15 t; the default is 1e-6 there, enough to t = 1e9.
    max_steps : int
        Number of integrator steps after which to give up.

    Returns
    -------
    Weights
        Stacked over ``times`` on the first axis, before the instances.

    Raises
    ------
    ValueError
        If weights do not fit the task, or a number is out of its range.
    RuntimeError
        If ``max_steps`` did not suffice (an `equinox.EquinoxRuntimeError`).
    """
    start = check_weights(weights, task)
    moments = validation.positive("times", np.asarray(times), ndim=1)
    if moments.shape[0] == 0 or (np.diff(np.asarray(moments)) <= 0).any():
        raise ValueError(f"times must be increasing, at least one; got {np.asarray(moments).tolist()}")
    if rtol is None:
        rtol = 1e-9 if isinstance(task, SelectionTask) else 1e-6
    tolerance = validation.positive("rtol", rtol, ndim=0)
    limit = validation.integer("max_steps", max_steps, minimum=1)
    return _flow(start, task, jnp.log1p(moments), tolerance, limit)


def attention_descent(
    weights: Weights, task: Task, *, learning_rate: ArrayLike, steps: Sequence[int] | ArrayLike
) -> Weights:
    r"""Descend by steps of one length, :math:`W \leftarrow W - \eta\, \nabla L / \|\nabla L\|`, and record the weights.

    The norm runs over all weights of an instance, both factors together. A gradient that underflows to zero leaves its
    weights where they are. Costs O(n T d^2) a step.

    Parameters
    ----------
    weights : Weights
        Initial weights, with the task's leading axes.
    task : Task
        What to learn; leading axes hold independent instances.
    learning_rate : float
        eta > 0: the length of a step, in units of the weights.
    steps : sequence of int
        Step counts to record at, nonnegative and nondecreasing.

    Returns
    -------
    Weights
        Stacked over ``steps`` on the first axis, before the instances.

    Raises
    ------
    ValueError
        If weights do not fit the task, or a number is out of its range.
    """
    start = check_weights(weights, task)
    rate = validation.positive("learning_rate", learning_rate, ndim=0)
    counts = np.asarray(steps)
    if counts.ndim != 1 or not counts.size or not np.issubdtype(counts.dtype, np.integer):
        raise ValueError(f"steps must be a sequence of integers, at least one; got {steps!r}")
    if counts[0] < 0 or (np.diff(counts) < 0).any():
        raise ValueError(f"steps must be nonnegative and nondecreasing; got {counts.tolist()}")
    return _descend(start, task, rate, jnp.asarray(np.diff(counts, prepend=0)))


@eqx.filter_jit
def _flow(start: Weights, task: Task, taus: Array, rtol: Array, max_steps: int) -> Weights:
    def one(weights: Weights, instance: Task) -> Weights:
        flat, unravel = ravel_pytree(weights)

        def velocity(tau, y, args):
            return -jnp.exp(tau) * jax.grad(lambda v: attention_loss(unravel(v), instance))(y)

        adaptive = diffrax.PIDController(rtol=rtol, atol=rtol / 100)
        solution = diffrax.diffeqsolve(
            diffrax.ODETerm(velocity),
            diffrax.Kvaerno5(),
            t0=0.0,
            t1=taus[-1],
            dt0=1e-3,
            y0=flat,
            saveat=diffrax.SaveAt(ts=taus),
            stepsize_controller=diffrax.ClipStepSizeController(adaptive, step_ts=taus),
            adjoint=diffrax.ForwardMode(),
            max_steps=max_steps,
        )
        return jax.vmap(unravel)(solution.ys)

    # side by side, every instance takes the steps of the stiffest: worth it only where that costs no time
    mapped = over_instances(one, task, sequential=jax.default_backend() == "cpu")
    return _times_first(mapped(start, task), task)


@eqx.filter_jit
def _descend(start: Weights, task: Task, rate: Array, gaps: Array) -> Weights:
    def one(weights: Weights, instance: Task) -> Weights:
        flat, unravel = ravel_pytree(weights)
        gradient = jax.grad(lambda v: attention_loss(unravel(v), instance))

        def step(_: Array, y: Array) -> Array:
            g = gradient(y)
            # the norm of a gradient as small as 1e-200 would underflow if its entries were squared as they are
            unit = g / jnp.maximum(jnp.abs(g).max(), jnp.finfo(g.dtype).tiny)
            return y - rate * unit / jnp.maximum(jnp.linalg.norm(unit), jnp.finfo(g.dtype).tiny)

        def record(y: Array, gap: Array) -> tuple[Array, Array]:
            y = jax.lax.fori_loop(0, gap, step, y)
            return y, y

        return jax.vmap(unravel)(jax.lax.scan(record, flat, gaps)[1])

    return _times_first(over_instances(one, task)(start, task), task)


def _times_first(records: Weights, task: Task) -> Weights:
    axis = task.tokens.ndim - 3
    return jax.tree.map(lambda leaf: jnp.moveaxis(leaf, axis, 0), records)
