r"""Linear self-supervised learning without contrastive pairs: what keeps it from collapsing.

An online network W and a predictor W_p chase a target network W_a = tau W behind a stop-gradient. For inputs of unit
covariance whose views add noise of variance ``aug_var``, W_p and F = W W^T come to share eigenvectors, and each common
mode obeys two equations of its own for its eigenvalues p and s, with :math:`\kappa = 1 +` ``aug_var``.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from theory.deep_linear._checks import broadcast
from theory.deep_linear._integration import integrate, moments
from theory.deep_linear._predictor_clock import time_with_decay, time_without_decay
from theory.deep_linear.predictor_matrices import alignment_rate_matrix, direct_pred, no_stop_gradient_hessian
from theory.validation import finite, nonnegative, positive, positive_scalar, scalar

__all__ = [
    "FixedPoints",
    "PredictorModes",
    "alignment_rate_matrix",
    "collapses",
    "critical_weight_decay",
    "direct_pred",
    "fixed_points",
    "mode_flow",
    "mode_time",
    "no_stop_gradient_hessian",
]

Array = NDArray[np.float64]


class PredictorModes(NamedTuple):
    """Eigenvalues of the predictor and of W W^T, and the ratio of target to online network, (times, modes)."""

    p: Array
    s: Array
    tau: Array


class FixedPoints(NamedTuple):
    """Nontrivial fixed points of the predictor: the edge of the basin of 0, and the learned one."""

    p_minus: Array
    p_plus: Array


def mode_flow(
    t: ArrayLike,
    *,
    p0: ArrayLike,
    s0: ArrayLike,
    tau0: ArrayLike = 1.0,
    alpha_p: float = 1.0,
    weight_decay: float = 0.0,
    aug_var: float = 0.0,
    ema_rate: float | None = None,
) -> PredictorModes:
    r"""Follow the eigenvalues of predictor and representation in their common eigenbasis.

    .. math:: \dot p = \alpha_p s (\tau - \kappa p) - \eta p, \quad
        \dot s = 2 p s (\tau - \kappa p) - 2 \eta s, \quad
        \dot\tau = \beta (1 - \tau) - \tau \dot s / (2 s)

    with the last only for a target that moves; each mode then has a ratio of its own. With a fixed target log s is
    integrated, so that s keeps its relative accuracy through a collapse. With a moving one the two networks' amplitudes
    are, since the online one may change its sign, where tau passes through infinity. Adaptive Runge-Kutta of
    order 8 at relative tolerance 1e-12; explicit, so that steps grow in number with the fastest rate times the last
    time. Each step costs O(modes).

    Parameters
    ----------
    t : array_like
        Times, nonnegative, in units of the inverse learning rate, in any order, 1-D.
    p0, s0 : array_like
        Initial eigenvalues, one a mode: any real numbers and nonnegative ones.
    tau0 : array_like
        Initial ratio of target to online network in each mode.
    alpha_p : float
        Learning-rate multiplier of the predictor, positive; weight decay is not multiplied.
    weight_decay : float
        Decay eta of both networks, nonnegative.
    aug_var : float
        Variance that augmentation adds in every direction, nonnegative.
    ema_rate : float, optional
        Rate beta of the moving average, positive. Left out, tau stays at ``tau0``.

    Returns
    -------
    PredictorModes
        ``p``, ``s`` and ``tau``, each (times, modes).

    Raises
    ------
    ValueError
        If an argument is outside its range, or the modes' shapes do not broadcast.
    RuntimeError
        If the integrator cannot reach the last time.

    References
    ----------
    Tian, Chen and Ganguli, arXiv:2102.06810, the decoupled dynamics of eigenvalues.

    Examples
    --------
    >>> p, s, tau = mode_flow([0.0, 50.0], p0=[0.2], s0=[0.3], aug_var=0.25)
    >>> (s - p**2).round(9).ravel()
    array([0.26, 0.26])
    """
    t = moments(t)
    p0, s0, tau0 = finite("p0", p0), nonnegative("s0", s0), finite("tau0", tau0)
    shape = broadcast(p0=p0, s0=s0, tau0=tau0)
    if len(shape) > 1:
        raise ValueError(f"p0, s0 and tau0 must have 0 or 1 axes; got the joint shape {shape}")
    p0, s0, tau0 = (np.broadcast_to(value, shape).reshape(-1) for value in (p0, s0, tau0))
    alpha_p = positive_scalar("alpha_p", alpha_p)
    eta, kappa = _decay_and_kappa(weight_decay, aug_var)
    beta = None if ema_rate is None else positive_scalar("ema_rate", ema_rate)

    if beta is None:

        def fixed_ratio(state: Array) -> Array:
            p, log_s = state
            drive = tau0 - kappa * p
            return np.stack([alpha_p * s0 * np.exp(log_s) * drive - eta * p, 2.0 * (p * drive - eta)])

        p, log_s = np.moveaxis(integrate(fixed_ratio, np.stack([p0, np.zeros_like(p0)]), t), 1, 0)
        return PredictorModes(p, s0 * np.exp(log_s), np.broadcast_to(tau0, p.shape).copy())

    def moving_target(state: Array) -> Array:
        p, online, target = state
        pull = target - kappa * p * online
        moves = alpha_p * s0 * online * pull - eta * p, p * pull - eta * online, beta * (online - target)
        return np.stack(moves)

    p, online, target = np.moveaxis(integrate(moving_target, np.stack([p0, np.ones_like(p0), tau0]), t), 1, 0)
    with np.errstate(divide="ignore"):
        return PredictorModes(p, s0 * online**2, target / online)


def mode_time(
    p: ArrayLike,
    *,
    p0: ArrayLike,
    invariant: float = 0.0,
    alpha_p: float = 1.0,
    weight_decay: float = 0.0,
    aug_var: float = 0.0,
    tau: float = 1.0,
) -> Array:
    r"""Time in which the predictor's eigenvalue goes from ``p0`` to ``p``; negative when it came from there.

    The quantity :math:`c = s - p^2/\alpha_p` decays as :math:`e^{-2\eta t}`. Where it is constant, the predictor obeys
    one equation, :math:`\dot p = (p^2 + \alpha_p c)(\tau - \kappa p) - \eta p`, which is integrated in closed form:
    with c = 0 at any decay, and without decay at any c. Costs O(1) an entry; close to a double root (decay near
    critical, or :math:`\alpha_p c` near :math:`-\tau^2/\kappa^2`) digits are lost in proportion to the roots' distance.

    Parameters
    ----------
    p, p0 : array_like
        Eigenvalues of the predictor, not fixed points, and not separated by one.
    invariant : float
        The constant c.
    alpha_p : float
        Learning-rate multiplier of the predictor, positive.
    weight_decay : float
        Decay eta, nonnegative; must vanish unless ``invariant`` does.
    aug_var : float
        Variance that augmentation adds, nonnegative.
    tau : float
        Ratio of target to online network, positive and fixed.

    Returns
    -------
    ndarray
        Times, in the joint shape of p and p0.

    Raises
    ------
    ValueError
        If an argument is outside its range, if neither ``invariant`` nor ``weight_decay`` vanishes, or if no
        trajectory joins p0 and p.

    References
    ----------
    Derived from the equations of Tian, Chen and Ganguli, arXiv:2102.06810.

    Examples
    --------
    >>> float(mode_time(0.5, p0=0.25).round(12))
    3.098612288668
    """
    p, p0 = finite("p", p), finite("p0", p0)
    broadcast(p=p, p0=p0)
    p, p0 = np.broadcast_arrays(p, p0)
    invariant, alpha_p, tau = (
        scalar("invariant", invariant),
        positive_scalar("alpha_p", alpha_p),
        positive_scalar("tau", tau),
    )
    eta, kappa = _decay_and_kappa(weight_decay, aug_var)
    # a subnormal decay has lost the digits that the roots need, and does nothing in any time that is finite
    if eta < np.finfo(float).tiny:
        return time_without_decay(p, p0, product=alpha_p * invariant, kappa=kappa, tau=tau)
    if invariant != 0.0:
        raise ValueError(f"weight_decay must be 0 unless invariant is; got {eta:g} with invariant {invariant:g}")
    return time_with_decay(p, p0, weight_decay=eta, kappa=kappa, tau=tau)


def fixed_points(*, weight_decay: ArrayLike, aug_var: ArrayLike = 0.0, tau: ArrayLike = 1.0) -> FixedPoints:
    r"""Nontrivial fixed points of the predictor, :math:`p_\pm = (\tau \pm \sqrt{\tau^2 - 4\eta\kappa})/(2\kappa)`.

    The upper one is stable, the lower one bounds the basin of the collapsed state p = 0. There s = p^2 / alpha_p.
    A target that moves ends at tau = 1. O(1) an entry.

    Parameters
    ----------
    weight_decay, aug_var : array_like
        Decay eta and variance of augmentation, nonnegative.
    tau : array_like
        Ratio of target to online network, positive.

    Returns
    -------
    FixedPoints
        ``p_minus`` and ``p_plus``; both NaN where decay is above critical and only collapse is left.

    Raises
    ------
    ValueError
        If an argument is outside its range, or shapes do not broadcast.

    References
    ----------
    Tian, Chen and Ganguli, arXiv:2102.06810, fixed points under weight decay.

    Examples
    --------
    >>> [float(p) for p in fixed_points(weight_decay=0.1875)]
    [0.25, 0.75]
    """
    eta, kappa, tau = (
        nonnegative("weight_decay", weight_decay),
        1.0 + nonnegative("aug_var", aug_var),
        positive("tau", tau),
    )
    broadcast(weight_decay=eta, aug_var=kappa, tau=tau)
    gap = tau**2 - 4.0 * eta * kappa
    upper = 0.5 * (tau + np.sqrt(np.where(gap >= 0.0, gap, np.nan))) / kappa
    return FixedPoints(eta / (kappa * upper), upper)


def critical_weight_decay(*, aug_var: ArrayLike = 0.0, tau: ArrayLike = 1.0) -> Array:
    r"""Largest decay that leaves a solution other than collapse, :math:`\eta_c = \tau^2 / (4\kappa)`.

    There the two nontrivial fixed points merge at :math:`p = \tau/(2\kappa)` (a saddle-node). O(1) an entry.

    Parameters
    ----------
    aug_var : array_like
        Variance that augmentation adds, nonnegative.
    tau : array_like
        Ratio of target to online network, positive.

    Returns
    -------
    ndarray
        In the joint shape of the arguments.

    Raises
    ------
    ValueError
        If an argument is outside its range, or shapes do not broadcast.

    References
    ----------
    Tian, Chen and Ganguli, arXiv:2102.06810.
    """
    kappa, tau = 1.0 + nonnegative("aug_var", aug_var), positive("tau", tau)
    broadcast(aug_var=kappa, tau=tau)
    return np.asarray(0.25 * tau**2 / kappa)


def collapses(
    p0: ArrayLike, s0: ArrayLike, *, alpha_p: float = 1.0, aug_var: float = 0.0, tau: float = 1.0
) -> NDArray[np.bool_]:
    r"""Whether a mode's s tends to 0 without weight decay.

    With :math:`c = s_0 - p_0^2/\alpha_p` and :math:`m = \sqrt{\alpha_p |c|}` it does when c < 0 and either p0 < 0 or
    :math:`m \ge \tau/\kappa`, when c = 0 and :math:`p_0 \le 0`, and when it starts there, at s0 = 0. Otherwise p tends
    to :math:`\tau/\kappa`. O(1) an entry.

    Parameters
    ----------
    p0, s0 : array_like
        Initial eigenvalues; s0 nonnegative.
    alpha_p : float
        Learning-rate multiplier of the predictor, positive.
    aug_var : float
        Variance that augmentation adds, nonnegative.
    tau : float
        Ratio of target to online network, positive and fixed.

    Returns
    -------
    ndarray of bool
        In the joint shape of p0 and s0.

    Raises
    ------
    ValueError
        If an argument is outside its range, or shapes do not broadcast.

    References
    ----------
    Derived from the equations of Tian, Chen and Ganguli, arXiv:2102.06810.

    Examples
    --------
    >>> collapses([-1.0, 0.1], [0.5, 0.5])
    array([ True, False])
    """
    p0, s0 = finite("p0", p0), nonnegative("s0", s0)
    broadcast(p0=p0, s0=s0)
    alpha_p, tau = positive_scalar("alpha_p", alpha_p), positive_scalar("tau", tau)
    _, kappa = _decay_and_kappa(0.0, aug_var)
    edge = np.sqrt(alpha_p * s0)
    minus_product = (p0 - edge) * (p0 + edge)
    below = (minus_product > 0.0) & ((p0 < 0.0) | (minus_product >= (tau / kappa) ** 2))
    return np.asarray(below | ((minus_product == 0.0) & (p0 <= 0.0)) | (s0 == 0.0))


def _decay_and_kappa(weight_decay: ArrayLike, aug_var: ArrayLike) -> tuple[float, float]:
    eta = nonnegative("weight_decay", weight_decay, ndim=0)
    return float(eta), 1.0 + float(nonnegative("aug_var", aug_var, ndim=0))
