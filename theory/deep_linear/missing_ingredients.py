"""Collapse of non-contrastive learning without its ingredients: no stop-gradient, or no predictor."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from theory.deep_linear._integration import moments
from theory.deep_linear.predictor_matrices import square_matrix, symmetric_matrix
from theory.validation import finite, nonnegative, positive_scalar

Array = NDArray[np.float64]


class NetworkVelocity(NamedTuple):
    """Rates of change of online network, target and predictor."""

    online: Array
    target: Array
    predictor: Array


def network_velocity(
    w: ArrayLike,
    w_a: ArrayLike,
    w_p: ArrayLike,
    *,
    x_cov: ArrayLike,
    aug_cov: ArrayLike,
    alpha_p: float = 1.0,
    weight_decay: float = 0.0,
    ema_rate: float = 0.0,
) -> NetworkVelocity:
    r"""Rates of change with all ingredients: a predictor, a target behind a stop-gradient, and weight decay.

    .. math:: \dot W = W_p^T R - \eta W, \quad \dot W_p = \alpha_p R W^T - \eta W_p, \quad
        \dot W_a = \beta (W - W_a), \quad R = W_a X - W_p W (X + X')

    so that :math:`W W^T - W_p^T W_p / \alpha_p` decays as :math:`e^{-2 \eta t}` whatever the target does. O(n d^2).

    Parameters
    ----------
    w, w_a : array_like
        Online network and target, (n, d).
    w_p : array_like
        Predictor, (n, n), symmetric or not.
    x_cov, aug_cov : array_like
        Second moment X of the mean view and mean covariance X' of the views, symmetric, (d, d).
    alpha_p : float
        Learning-rate multiplier of the predictor, positive; weight decay is not multiplied.
    weight_decay, ema_rate : float
        Decay eta and rate beta of the target's moving average, nonnegative.

    Returns
    -------
    NetworkVelocity
        ``online`` and ``target``, (n, d), and ``predictor``, (n, n), per unit of time.

    Raises
    ------
    ValueError
        If shapes do not fit, a covariance is not symmetric, or a number is outside its range.

    References
    ----------
    Tian, Chen and Ganguli, arXiv:2102.06810, the lemma on the dynamics of linear networks.
    """
    w, w_a, w_p = finite("w", w, ndim=2), finite("w_a", w_a, ndim=2), square_matrix("w_p", w_p)
    x_cov, aug_cov = symmetric_matrix("x_cov", x_cov), symmetric_matrix("aug_cov", aug_cov)
    shape = (len(w_p), len(x_cov))
    if not w.shape == w_a.shape == shape or aug_cov.shape != x_cov.shape:
        raise ValueError(
            f"w and w_a must have shape {shape}, as w_p and x_cov say, and aug_cov that of x_cov; "
            f"got {w.shape}, {w_a.shape} and {aug_cov.shape}"
        )
    alpha_p = positive_scalar("alpha_p", alpha_p)
    eta = float(nonnegative("weight_decay", weight_decay, ndim=0))
    beta = float(nonnegative("ema_rate", ema_rate, ndim=0))
    residual = w_a @ x_cov - w_p @ w @ (x_cov + aug_cov)
    return NetworkVelocity(w_p.T @ residual - eta * w, beta * (w - w_a), alpha_p * residual @ w.T - eta * w_p)


def no_stop_gradient_rate(*, aug_var: ArrayLike, weight_decay: ArrayLike = 0.0) -> Array:
    r"""Least rate of collapse without stop-gradient, :math:`\kappa - 1/\kappa + \eta`, for any predictor.

    With inputs of unit covariance and :math:`\kappa = 1 +` ``aug_var``, :math:`|W(t)|_F \le |W(0)|_F e^{-r t}`.
    Attained without decay from :math:`W_p = I/\kappa`, which then stays. O(1) an entry.

    Parameters
    ----------
    aug_var, weight_decay : array_like
        Variance that augmentation adds, and decay eta, nonnegative.

    Returns
    -------
    ndarray
        The rate r, in the joint shape of the arguments.

    Raises
    ------
    ValueError
        If an argument is negative.

    References
    ----------
    Derived from the dynamics of Tian, Chen and Ganguli, arXiv:2102.06810, without stop-gradient.

    Examples
    --------
    >>> float(no_stop_gradient_rate(aug_var=1.0))
    1.5
    """
    variance = nonnegative("aug_var", aug_var)
    # (1 + v) - 1 / (1 + v), without the cancellation that a small variance would bring
    return np.asarray(variance * (2.0 + variance) / (1.0 + variance) + nonnegative("weight_decay", weight_decay))


def weights_without_predictor(t: ArrayLike, *, w0: ArrayLike, aug_cov: ArrayLike, weight_decay: float = 0.0) -> Array:
    r"""Weights when the predictor is the identity: :math:`W(t) = W(0) e^{-(X' + \eta) t}`, with stop-gradient.

    The target is the online network itself. What views share cancels, so that only their scatter acts. O(d^3).

    Parameters
    ----------
    t : array_like
        Times, nonnegative, 1-D.
    w0 : array_like
        Initial weights, (n, d).
    aug_cov : array_like
        Mean covariance X' of the views, symmetric, (d, d).
    weight_decay : float
        Decay eta, nonnegative.

    Returns
    -------
    ndarray
        Weights, (times, n, d).

    Raises
    ------
    ValueError
        If shapes do not fit, ``aug_cov`` is not symmetric, or a number is outside its range.

    References
    ----------
    Tian, Chen and Ganguli, arXiv:2102.06810, on the need of a predictor.
    """
    times, start, scatter = moments(t), finite("w0", w0, ndim=2), symmetric_matrix("aug_cov", aug_cov)
    if start.shape[1] != len(scatter):
        raise ValueError(f"w0 must have {len(scatter)} columns, as aug_cov has; got {start.shape}")
    rates, basis = np.linalg.eigh(scatter)
    decay = np.exp(-(rates + float(nonnegative("weight_decay", weight_decay, ndim=0))) * times[:, None])
    return np.asarray((start @ basis * decay[:, None, :]) @ basis.T)
