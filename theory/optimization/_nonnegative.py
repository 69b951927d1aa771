"""Nonnegative least squares whose answer is checked before it is believed."""

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import lsq_linear, nnls

Array = NDArray[np.float64]

_SATISFIED = 1e-10


def nonnegative_least_squares(system: Array, target: Array, *, max_iterations: int | None = None) -> Array:
    """Minimise ||A x - b|| over x >= 0.

    SciPy's active-set solver stops short of the minimum on some degenerate systems, without saying so. Its answer
    therefore counts only if no coordinate can still lower the residual; otherwise bounded-variable least squares
    starts from nothing, and the better of both is returned.

    Raises
    ------
    RuntimeError
        If the active sets of both cycle.
    """
    try:
        first = nnls(system, target, maxiter=max_iterations)[0]
    except RuntimeError:
        first = None
    if first is not None and _violation(system, target, first) <= _SATISFIED:
        return first
    found = lsq_linear(system, target, bounds=(0, np.inf), method="bvls", tol=1e-15, max_iter=10 * system.shape[1])
    second = np.maximum(found.x, 0.0)
    if first is not None and _violation(system, target, first) <= _violation(system, target, second):
        return first
    if found.status == 0 and _violation(system, target, second) > _SATISFIED:
        raise RuntimeError("nonnegative least squares found no minimum within its iterations")
    return second


def _violation(system: Array, target: Array, x: Array) -> float:
    """Return by how much the conditions of a minimum are missed, relative to the sizes of columns and target."""
    scale = float(np.linalg.norm(system, axis=0).max() * np.linalg.norm(target)) or 1.0
    slope = system.T @ (target - system @ x) / scale
    return float(max(slope.max(), np.abs(slope * x).max(initial=0.0) / max(x.max(), 1.0)))
