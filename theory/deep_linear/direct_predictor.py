r"""Representations under a predictor that is set from their correlations instead of trained."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from theory.deep_linear._integration import integrate, moments
from theory.deep_linear.noncontrastive import fixed_points
from theory.validation import nonnegative, positive, positive_scalar

Array = NDArray[np.float64]


def direct_pred_flow(
    t: ArrayLike,
    *,
    s0: ArrayLike,
    eps: float = 0.1,
    weight_decay: float = 0.0,
    aug_var: float = 0.0,
    tau: float = 1.0,
) -> Array:
    r"""Follow eigenvalues of :math:`W W^T` under a predictor :math:`p_j = \sqrt{s_j} + \epsilon \max_k s_k`.

    .. math:: \dot s_j = 2 s_j [p_j (\tau - \kappa p_j) - \eta]

    Without ``eps`` that is a trained predictor's flow with alpha_p = 1 from :math:`s_j = p_j^2`. Logarithms of the
    eigenvalues are integrated, so that small ones keep their digits. Adaptive Runge-Kutta of order 8 at relative
    tolerance 1e-12.

    Parameters
    ----------
    t : array_like
        Times, nonnegative, in units of the inverse learning rate, in any order, 1-D.
    s0 : array_like
        Initial eigenvalues, positive, 1-D.
    eps : float
        Lift of the predictor's eigenvalues relative to the largest of s, nonnegative.
    weight_decay, aug_var : float
        Decay eta and variance of augmentation, nonnegative.
    tau : float
        Ratio of target to online network, positive and fixed.

    Returns
    -------
    ndarray
        Eigenvalues, (times, modes).

    Raises
    ------
    ValueError
        If an argument is outside its range.
    RuntimeError
        If the integrator cannot reach the last time.

    References
    ----------
    Derived from the dynamics of Tian, Chen and Ganguli, arXiv:2102.06810, and their DirectPred.
    """
    times, s0 = moments(t), positive("s0", s0, ndim=1)
    if not s0.size:
        raise ValueError("s0 must hold at least one eigenvalue; got none")
    lift = float(nonnegative("eps", eps, ndim=0))
    eta, kappa = float(nonnegative("weight_decay", weight_decay, ndim=0)), 1.0 + float(nonnegative("aug_var", aug_var))
    tau = positive_scalar("tau", tau)

    def velocity(log_s: Array) -> Array:
        p = np.exp(0.5 * log_s) + lift * np.exp(log_s.max())
        return 2.0 * (p * (tau - kappa * p) - eta)

    return np.exp(integrate(velocity, np.log(s0), times))


def critical_direct_pred_eps(*, weight_decay: ArrayLike, aug_var: ArrayLike = 0.0, tau: ArrayLike = 1.0) -> Array:
    r"""Least lift ``eps`` with which small modes escape collapse: :math:`\epsilon_c = p_- / (p_+ - p_-)^2`.

    A mode of vanishing s has the predictor :math:`q = \epsilon \max_k s_k` and grows at the rate
    :math:`2 [q (\tau - \kappa q) - \eta]`, which is positive for q above :math:`p_-`. The largest mode rests where its
    predictor is :math:`p_+`, hence :math:`q = p_+ - \sqrt{\max s}`. O(1) an entry.

    Parameters
    ----------
    weight_decay, aug_var : array_like
        Decay eta and variance of augmentation, nonnegative.
    tau : array_like
        Ratio of target to online network, positive and fixed.

    Returns
    -------
    ndarray
        In the joint shape of the arguments; infinite at the critical decay.

    Raises
    ------
    ValueError
        If an argument is outside its range, or decay is above critical, so that no mode survives.

    References
    ----------
    Derived from the dynamics of Tian, Chen and Ganguli, arXiv:2102.06810, and their DirectPred.

    Examples
    --------
    >>> float(critical_direct_pred_eps(weight_decay=0.05, aug_var=0.25).round(4))
    0.1116
    """
    lower, upper = fixed_points(weight_decay=weight_decay, aug_var=aug_var, tau=tau)
    if np.isnan(upper).any():
        worst = np.max(nonnegative("weight_decay", weight_decay))
        raise ValueError(f"weight_decay must be at most critical, tau^2 / (4 kappa); got up to {worst:g}")
    with np.errstate(divide="ignore"):
        return np.asarray(lower / (upper - lower) ** 2)
