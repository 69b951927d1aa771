"""Matrices of least norm that clear every margin, with a certificate that does not trust the solver."""

import warnings
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from theory.optimization._nonnegative import nonnegative_least_squares

Array = NDArray[np.float64]
Norm = Literal["fro", "nuc"]

SUPPORT_TOLERANCE = 1e-6
_CERTIFIED = 1e-6
_PROVED = 1e-9
_SOLVER = {"tol_gap_abs": 1e-11, "tol_gap_rel": 1e-11, "tol_feas": 1e-11}


class InfeasibleError(ValueError):
    r"""No matrix clears every margin.

    Attributes
    ----------
    weights
        Farkas certificate: y >= 0 with sum 1 and :math:`\sum_s y_s F_s = 0`, which rules out <F_s, W> >= 1 for all s.
    residual
        Frobenius norm of :math:`\sum_s y_s F_s` over the largest ||F_s||_F: zero up to rounding.
    """

    def __init__(self, message: str, weights: Array, residual: float) -> None:
        super().__init__(message)
        self.weights = weights
        self.residual = residual


class MaxMargin(NamedTuple):
    """A certified minimiser: ``W``, its norm, margins and multipliers, and how far from optimal it can be."""

    W: Array
    value: float
    margins: Array
    duals: Array
    gap: float
    kkt_residual: float


def minimum_norm(features: Array, norm: Norm) -> MaxMargin:
    r"""Minimise ||W||_F or ||W||_* subject to <F_s, W> >= 1, for features of shape (m, p, q).

    Multipliers follow the objective ||W||_F^2 / 2, so that :math:`W = \sum_s \lambda_s F_s`, or ||W||_*, so that
    :math:`\sum_s \lambda_s F_s` is a subgradient of the nuclear norm at W.

    Raises
    ------
    InfeasibleError
        If no W clears the margins, with the certificate.
    RuntimeError
        If neither a solution can be certified to 1e-6 nor infeasibility to 1e-9.
    """
    unit = float(np.linalg.norm(features, axis=(1, 2)).max())
    if unit == 0:
        raise infeasible(features)
    F = features / unit
    solved = _solve(F, norm)
    if solved is None:
        error = infeasible(features)
        if error.residual <= _PROVED:
            raise error
        raise RuntimeError(
            f"the minimum-{norm}-norm problem could be neither solved nor proved infeasible (the best convex "
            f"combination of its features has relative norm {error.residual:.1e})"
        )
    W, duals = solved
    if norm == "fro":
        W, duals = _polish(F, W, duals)
    gap, residual = certificate(F, W, duals, norm)
    if not max(gap, residual) <= _CERTIFIED:
        raise RuntimeError(
            f"the minimum-{norm}-norm problem was solved to duality gap {gap:.1e} and KKT residual {residual:.1e} "
            f"instead of {_CERTIFIED:g}; its constraints are close to infeasible"
        )
    W = W / unit
    return MaxMargin(
        W=W,
        value=_matrix_norm(W, norm),
        margins=np.tensordot(features, W, 2),
        duals=duals / unit**2 if norm == "fro" else duals / unit,
        gap=gap,
        kkt_residual=residual,
    )


def certificate(features: Array, W: Array, duals: Array, norm: Norm) -> tuple[float, float]:
    r"""Relative duality gap and KKT residual of a pair, from the features alone.

    Any W scaled to smallest margin 1 is feasible, and any lambda >= 0 bounds the least norm from below by
    :math:`\sum_s \lambda_s / \|\sum_s \lambda_s F_s\|_{\text{dual}}`; the gap is their relative distance.
    """
    margins = np.tensordot(features, W, 2)
    combination = np.tensordot(duals, features, 1)
    value, dual_norm = _matrix_norm(W, norm), _dual_norm(combination, norm)
    if margins.min() <= 0 or dual_norm == 0:
        return np.inf, np.inf
    upper, lower = value / margins.min(), duals.sum() / dual_norm
    if norm == "fro":
        stationarity = float(np.linalg.norm(W - combination)) / value
    else:
        stationarity = max(dual_norm - 1, abs(1 - float(np.vdot(combination, W)) / value))
    residual = max(
        stationarity,
        (1 - margins).max(),
        -duals.min() / duals.max(),
        np.abs(duals * (margins - 1)).max() / duals.max(),
    )
    return max(0.0, float(1 - lower / upper)), float(residual)


def infeasible(features: Array) -> InfeasibleError:
    """Build the error for constraints <F_s, W> >= 1 that no W satisfies, with the best Farkas certificate."""
    flat = features.reshape(len(features), -1)
    unit = float(np.linalg.norm(flat, axis=1).max()) or 1.0
    rows = np.vstack([flat.T / unit, np.ones(len(flat))])
    weights = nonnegative_least_squares(rows, np.append(np.zeros(len(rows) - 1), 1.0))
    weights = weights / weights.sum()
    residual = float(np.linalg.norm(weights @ flat) / unit)
    return InfeasibleError(
        f"no matrix W satisfies all {len(flat)} margin constraints <F_s, W> >= 1: the convex hull of the features "
        f"holds the origin (a convex combination of them has relative norm {residual:.1e})",
        weights,
        residual,
    )


def _solve(F: Array, norm: Norm) -> tuple[Array, Array] | None:
    """Return a minimiser and its multipliers, or None when there seems to be none."""
    if norm == "fro":
        try:
            found = _least_distance(F)
        except RuntimeError:  # the active set cycled
            return _interior_point(F, norm)
        if found is None or max(certificate(F, *found, norm)) <= _CERTIFIED:
            return found
    return _interior_point(F, norm)


def _least_distance(F: Array) -> tuple[Array, Array] | None:
    """Lawson and Hanson (1974), chapter 23: the residual of a nonnegative least-squares problem is the separator."""
    flat = F.reshape(len(F), -1)
    # in the span of the features, where they have at most m coordinates each
    basis, rows = np.linalg.qr(flat.T)
    system = np.vstack([rows, np.ones(len(F))])
    target = np.append(np.zeros(len(rows)), 1.0)
    weights = nonnegative_least_squares(system, target, max_iterations=30 * len(F))
    residual = target - system @ weights
    if residual[-1] <= 1e-13:
        return None
    return (basis @ -residual[:-1] / residual[-1]).reshape(F.shape[1:]), weights / residual[-1]


def _interior_point(F: Array, norm: Norm) -> tuple[Array, Array] | None:
    # cvxpy takes longer to import than the rest of the package together
    import cvxpy as cp

    W = cp.Variable(F.shape[1:])
    clears = F.reshape(len(F), -1) @ cp.vec(W, order="C") >= 1
    objective = cp.sum_squares(W) / 2 if norm == "fro" else cp.normNuc(W)
    problem = cp.Problem(cp.Minimize(objective), [clears])
    try:
        with warnings.catch_warnings():
            # an inaccurate answer is judged by its certificate
            warnings.filterwarnings("ignore", message="Solution may be inaccurate")
            problem.solve(solver=cp.CLARABEL, **_SOLVER)
    except cp.SolverError:
        raise RuntimeError(f"Clarabel gave up on the minimum-{norm}-norm problem with {len(F)} margins") from None
    if problem.status in (cp.INFEASIBLE, cp.INFEASIBLE_INACCURATE):
        return None
    if W.value is None or clears.dual_value is None:
        raise RuntimeError(f"Clarabel ended with status {problem.status!r} on the minimum-{norm}-norm problem")
    return np.asarray(W.value), np.maximum(clears.dual_value, 0)


def _polish(F: Array, W: Array, duals: Array) -> tuple[Array, Array]:
    """Solve the equations of the active set that the multipliers suggest, and keep the better certified answer."""
    best, best_residual = (W, duals), certificate(F, W, duals, "fro")[1]
    gram = np.tensordot(F, F, ([1, 2], [1, 2]))
    for threshold in (SUPPORT_TOLERANCE, 1e-8, 1e-4):
        active = duals > threshold * duals.max()
        polished = np.zeros_like(duals)
        polished[active] = np.linalg.lstsq(gram[np.ix_(active, active)], np.ones(active.sum()), rcond=None)[0]
        if polished.min() < 0:
            continue
        candidate = np.tensordot(polished, F, 1)
        residual = certificate(F, candidate, polished, "fro")[1]
        if residual < best_residual:
            best, best_residual = (candidate, polished), residual
    return best


def _matrix_norm(W: Array, norm: Norm) -> float:
    return float(np.linalg.norm(W, norm))


def _dual_norm(W: Array, norm: Norm) -> float:
    return float(np.linalg.norm(W, "fro" if norm == "fro" else 2))
