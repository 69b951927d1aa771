"""One integrator for all flows of the wing: adaptive, of order 8, stepping exactly onto the requested times."""

from collections.abc import Callable, Sequence
from typing import Any

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.flatten_util import ravel_pytree
from jax.typing import ArrayLike

from simulations import validation

RTOL = 1e-11
ATOL = 1e-13
MAX_STEPS = 200_000


def integrate(velocity: Callable[[Any], Any], start: Any, times: Array, observe: Callable[[Any], Any]) -> Any:
    """Observations of the solution of x' = velocity(x), stacked over ``times``; for use inside jit and vmap.

    All are NaN when the integrator gives up, for :func:`require_finished` to notice outside of the compiled code: a
    check inside would be a callback, which the compilation cache cannot keep.
    """
    y0, unravel = ravel_pytree(start)
    controller = diffrax.ClipStepSizeController(diffrax.PIDController(rtol=RTOL, atol=ATOL), step_ts=times)
    solution = diffrax.diffeqsolve(
        diffrax.ODETerm(lambda t, y, args: ravel_pytree(velocity(unravel(y)))[0]),
        diffrax.Dopri8(),
        t0=0.0,
        t1=times[-1],
        dt0=None,
        y0=y0,
        saveat=diffrax.SaveAt(ts=times, fn=lambda t, y, args: observe(unravel(y))),
        stepsize_controller=controller,
        adjoint=diffrax.ForwardMode(),
        max_steps=MAX_STEPS,
        throw=False,
    )
    finished = diffrax.is_okay(solution.result)
    return jax.tree.map(lambda leaf: jnp.where(finished, leaf, jnp.nan), solution.ys)


def require_finished(observations: Any) -> Any:
    """Return ``observations``, or raise RuntimeError when an entry is not a number; traced arrays pass."""
    for leaf in jax.tree.leaves(observations):
        if validation.is_concrete(leaf) and not np.isfinite(np.asarray(leaf)).all():
            raise RuntimeError(f"the flow could not be integrated to the last time within {MAX_STEPS} steps")
    return observations


def check_times(times: ArrayLike | Sequence[float]) -> Array:
    """Return nonnegative, increasing times, the last of them positive, or raise ValueError."""
    moments = validation.nonnegative("times", jnp.asarray(times, dtype=jnp.float64), ndim=1)
    if moments.shape[0] == 0:
        raise ValueError("times must hold at least one time; got none")
    validation.require("times", jnp.diff(moments), lambda gap: gap > 0, "increasing, with positive gaps")
    validation.require("times", moments[-1:], lambda last: last > 0, "positive at the end")
    return moments
