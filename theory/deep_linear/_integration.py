"""Integrate autonomous equations to the tolerance that the solvers of this wing share."""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.integrate import solve_ivp

from theory.validation import nonnegative

Array = NDArray[np.float64]

RTOL, ATOL = 1e-12, 1e-14


def moments(t: ArrayLike) -> Array:
    """Return times as a 1-D array, or raise ValueError when one is negative or they have more axes."""
    times = np.atleast_1d(nonnegative("t", t))
    if times.ndim != 1:
        raise ValueError(f"t must have 0 or 1 axes; got {times.ndim}")
    return times


def integrate(velocity: Callable[[Array], Array], start: Array, t: Array, *, atol: float = ATOL) -> Array:
    """Follow ``velocity`` from ``start`` at time 0, by Runge-Kutta of order 8; states at times in any order, (T, ...).

    Raises
    ------
    RuntimeError
        If the integrator cannot reach the last time.
    """
    times, order = np.unique(t, return_inverse=True)
    states = np.broadcast_to(start.reshape(-1, 1), (start.size, times.size))
    if times.size and times[-1] > 0.0:

        def flat(_: float, state: Array) -> Array:
            return velocity(state.reshape(start.shape)).ravel()

        solution = solve_ivp(flat, (0.0, times[-1]), start.ravel(), "DOP853", times, rtol=RTOL, atol=atol)
        if not solution.success:
            raise RuntimeError(f"the flow could not be integrated to t = {times[-1]:g}: {solution.message}")
        states = solution.y
    return np.asarray(states.T.reshape(times.size, *start.shape)[order])
