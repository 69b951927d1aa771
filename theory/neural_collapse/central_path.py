"""Features flowing downhill while the head stays optimal: the central path, and how collapse proceeds along it."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.integrate import solve_ivp

from theory import validation
from theory.neural_collapse import _checks

Array = NDArray[np.float64]

RTOL = 1e-10


class NC1Rates(NamedTuple):
    """Time derivatives of Tr Sigma_W and Tr Sigma_B along the central path."""

    d_trace_w: float
    d_trace_b: float


def central_path_flow(
    h0: ArrayLike, t: ArrayLike, *, num_classes: int, weight_decay: float, feature_decay: float
) -> Array:
    r"""Features along the gradient flow of the loss whose head is optimal at all times.

    With :math:`f = \frac{1}{2Kn}\lVert WH - Y\rVert_F^2 + \frac{\lambda_W}{2K}\lVert W\rVert_F^2
    + \frac{\lambda_H}{2Kn}\lVert H\rVert_F^2` and balanced classes,

    .. math:: \dot H = -\bigl(W^{*T} (W^* H - Y) + \lambda_H H\bigr) , \qquad
              W^* = Y H^T (H H^T + n \lambda_W I)^{-1} ,

    the flow of -K n times the gradient of the loss of H alone. Along it Tr Sigma_W / Tr Sigma_B falls. Integrated by
    an adaptive Runge-Kutta method of order 8 with relative tolerance 1e-10; costs O(d^3 + d K N) an evaluation.

    Parameters
    ----------
    h0 : array_like, shape (d, K n)
        Features at time 0, samples ordered by class.
    t : array_like, shape (T,)
        Times >= 0 that do not decrease; the factor K n fixes their unit.
    num_classes : int
        K >= 2.
    weight_decay : float
        lambda_W > 0, in the units of this paper (lam_1 = lambda_W / K).
    feature_decay : float
        lambda_H >= 0, in the units of this paper (lam_H = lambda_H / (K n)).

    Returns
    -------
    ndarray, shape (T, d, K n)

    Raises
    ------
    ValueError
        If an argument is out of range, or the columns of ``h0`` cannot be divided among the classes.
    RuntimeError
        If the integrator fails.

    References
    ----------
    Tirer, Huang and Niles-Weed (2023), arXiv:2210.16658, section 3.

    Examples
    --------
    >>> path = central_path_flow([[1.0, 0.5], [0.0, 1.0]], [0.0, 1.0], num_classes=2, weight_decay=0.1,
    ...                          feature_decay=0.0)
    >>> path.shape
    (2, 2, 2)
    """
    h, k, n = _checks.balanced_columns("h0", h0, num_classes)
    times = _checks.times("t", t)
    lam_w, lam_h = _decays(weight_decay, feature_decay)

    def velocity(_: float, flat: Array) -> Array:
        now = flat.reshape(h.shape)
        head = _optimal_head(now, k, lam_w)
        residual = head @ now
        residual -= np.repeat(np.eye(k), n, axis=1)
        return -(head.T @ residual + lam_h * now).ravel()

    path = np.broadcast_to(h, (times.size, *h.shape)).copy()
    later = np.unique(times[times > 0])
    if later.size:
        solution = solve_ivp(
            velocity, (0.0, later[-1]), h.ravel(), method="DOP853", t_eval=later, rtol=RTOL, atol=1e-13 * _size(h)
        )
        if not solution.success:
            raise RuntimeError(f"the central path could not be integrated: {solution.message}")
        path[times > 0] = solution.y.T[np.searchsorted(later, times[times > 0])].reshape(-1, *h.shape)
    return path


def nc1_rates(h: ArrayLike, *, num_classes: int, weight_decay: float, feature_decay: float) -> NC1Rates:
    r"""Speed at which within- and between-class variability change along :func:`central_path_flow`.

    .. math::
        \tfrac{d}{dt} \mathrm{Tr}\,\Sigma_W &= -2\lambda_H \mathrm{Tr}\,\Sigma_W
            - 2\,\mathrm{Tr}(W^{*T} W^* \Sigma_W) , \\
        \tfrac{d}{dt} \mathrm{Tr}\,\Sigma_B &= -2\lambda_H \mathrm{Tr}\,\Sigma_B
            + \tfrac2K \mathrm{Tr}\bigl[(I - J) P (I - P)\bigr] , \qquad
        P = n \bar H^T (H H^T + n\lambda_W I)^{-1} \bar H ,

    P symmetric with eigenvalues in [0, 1), J = 11^T/K; hence the one falls, and the other rises, but for the decay of
    features that they share. Costs O(d^2 N + d^3).

    Parameters
    ----------
    h : array_like, shape (d, K n)
        Features, samples ordered by class.
    num_classes : int
        K >= 2.
    weight_decay : float
        lambda_W > 0, in the units of this paper.
    feature_decay : float
        lambda_H >= 0, in the units of this paper.

    Returns
    -------
    NC1Rates

    Raises
    ------
    ValueError
        If an argument is out of range, or the columns of ``h`` cannot be divided among the classes.

    References
    ----------
    Own derivation; the signs are those of Tirer, Huang and Niles-Weed (2023), arXiv:2210.16658, theorem 3.1.

    Examples
    --------
    >>> rates = nc1_rates([[1.0, 0.5], [0.0, 1.0]], num_classes=2, weight_decay=0.1, feature_decay=0.0)
    >>> rates.d_trace_w, rates.d_trace_b > 0
    (0.0, True)
    """
    features, k, n = _checks.balanced_columns("h", h, num_classes)
    lam_w, lam_h = _decays(weight_decay, feature_decay)
    means = features.reshape(features.shape[0], k, n).mean(axis=2)
    within = features - np.repeat(means, n, axis=1)
    centred = means - means.mean(axis=1, keepdims=True)
    head = _optimal_head(features, k, lam_w)
    p = head @ means
    spread = p @ (np.eye(k) - p)
    trace_w = np.sum(within**2) / (k * n)
    return NC1Rates(
        d_trace_w=float(-2 * lam_h * trace_w - 2 * np.sum((head @ within) ** 2) / (k * n)) + 0.0,
        d_trace_b=float(-2 * lam_h * np.sum(centred**2) / k + 2 / k * (np.trace(spread) - spread.mean() * k)),
    )


def _optimal_head(h: Array, k: int, lam_w: float) -> Array:
    d, samples = h.shape
    n = samples // k
    sums = h.reshape(d, k, n).sum(axis=2)  # H Y^T
    return np.linalg.solve(h @ h.T + n * lam_w * np.eye(d), sums).T


def _decays(weight_decay: float, feature_decay: float) -> tuple[float, float]:
    lam_w = validation.positive_scalar("weight_decay", weight_decay)
    return lam_w, float(validation.nonnegative("feature_decay", feature_decay, ndim=0))


def _size(h: Array) -> float:
    return max(float(np.sqrt(np.mean(h**2))), float(np.finfo(float).tiny))
