"""Matrices of non-contrastive learning: how predictor and representation align, shrink, or are set."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from theory.validation import finite, nonnegative, positive_scalar

Array = NDArray[np.float64]


def alignment_rate_matrix(
    w_p: ArrayLike,
    f: ArrayLike,
    *,
    alpha_p: float = 1.0,
    weight_decay: float = 0.0,
    aug_var: float = 0.0,
    tau: float = 1.0,
) -> Array:
    r"""Matrix K by which predictor and representation align, :math:`\dot L = -(KL + LK)` for :math:`L = [F, W_p]`.

    :math:`K = \kappa (W_p^2 + \alpha_p F / 2) - \tau W_p + \frac32 \eta I`; hence
    :math:`|L(t)|_F \le |L(0)|_F \exp(-2\int_0^t \lambda_{\min}(K))`, and for 2 x 2 matrices
    :math:`|L(t)|_F = |L(0)|_F \exp(-\int_0^t \mathrm{tr} K)`. Costs O(n^3) for n outputs.

    Parameters
    ----------
    w_p, f : array_like
        Predictor and F = W W^T, symmetric, (n, n).
    alpha_p : float
        Learning-rate multiplier of the predictor, positive.
    weight_decay, aug_var : float
        Decay eta and variance of augmentation, nonnegative.
    tau : float
        Ratio of target to online network, positive.

    Returns
    -------
    ndarray
        K, (n, n).

    Raises
    ------
    ValueError
        If a matrix is not symmetric, shapes differ, or a number is outside its range.

    References
    ----------
    Tian, Chen and Ganguli, arXiv:2102.06810, the theorem on eigenspace alignment.
    """
    w_p, f = symmetric_matrix("w_p", w_p), symmetric_matrix("f", f)
    if w_p.shape != f.shape:
        raise ValueError(f"f must have the shape of w_p, {w_p.shape}; got {f.shape}")
    alpha_p, tau = positive_scalar("alpha_p", alpha_p), positive_scalar("tau", tau)
    eta = float(nonnegative("weight_decay", weight_decay, ndim=0))
    kappa = 1.0 + float(nonnegative("aug_var", aug_var, ndim=0))
    return kappa * (w_p @ w_p + 0.5 * alpha_p * f) - tau * w_p + 1.5 * eta * np.eye(len(w_p))


def no_stop_gradient_hessian(
    w_p: ArrayLike, x_cov: ArrayLike, aug_cov: ArrayLike, *, weight_decay: float = 0.0
) -> Array:
    r"""Matrix H of the linear decay :math:`d\,\mathrm{vec} W/dt = -H\,\mathrm{vec} W` without stop-gradient.

    :math:`H = X' \otimes (W_p^T W_p + I) + X \otimes (W_p - I)^T (W_p - I) + \eta I`, for columns of W stacked
    (``W.flatten("F")``). It is positive semidefinite: weights only shrink. Costs O(n^2 d^2) for W of shape (n, d).

    Parameters
    ----------
    w_p : array_like
        Predictor, (n, n), symmetric or not.
    x_cov, aug_cov : array_like
        Second moment X of the mean view and mean covariance X' of the views, symmetric, (d, d).
    weight_decay : float
        Decay eta, nonnegative.

    Returns
    -------
    ndarray
        H, (n d, n d).

    Raises
    ------
    ValueError
        If a matrix is not square, a covariance not symmetric, shapes differ, or the decay is negative.

    References
    ----------
    Tian, Chen and Ganguli, arXiv:2102.06810, the theorem on the need of stop-gradient.
    """
    w_p, x_cov, aug_cov = (
        square_matrix("w_p", w_p),
        symmetric_matrix("x_cov", x_cov),
        symmetric_matrix("aug_cov", aug_cov),
    )
    if x_cov.shape != aug_cov.shape:
        raise ValueError(f"aug_cov must have the shape of x_cov, {x_cov.shape}; got {aug_cov.shape}")
    eta = float(nonnegative("weight_decay", weight_decay, ndim=0))
    identity = np.eye(len(w_p))
    residual = w_p - identity
    spread = np.kron(aug_cov, w_p.T @ w_p + identity)
    return spread + np.kron(x_cov, residual.T @ residual) + eta * np.eye(len(spread))


def direct_pred(f_corr: ArrayLike, *, eps: float = 0.1) -> Array:
    r"""Set the predictor from the outputs' correlations: :math:`p_j = \sqrt{s_j} + \epsilon \max_k s_k`, same basis.

    Without ``eps`` this is where a trained predictor with alpha_p = 1 and c = 0 would be. Costs O(n^3).

    Parameters
    ----------
    f_corr : array_like
        Correlations F, symmetric and positive semidefinite, (n, n).
    eps : float
        Lift of all eigenvalues, nonnegative, relative to the largest of F.

    Returns
    -------
    ndarray
        W_p, (n, n), symmetric.

    Raises
    ------
    ValueError
        If ``f_corr`` is not symmetric or has an eigenvalue below 0 by more than rounding, or ``eps`` is negative.

    References
    ----------
    Tian, Chen and Ganguli, arXiv:2102.06810, DirectPred.

    Examples
    --------
    >>> direct_pred([[4.0, 0.0], [0.0, 1.0]], eps=0.5)
    array([[4., 0.],
           [0., 3.]])
    """
    f_corr = symmetric_matrix("f_corr", f_corr)
    lift = float(nonnegative("eps", eps, ndim=0))
    s, basis = np.linalg.eigh(f_corr)
    if s[0] < -1e-12 * np.abs(s).max():
        raise ValueError(f"f_corr must be positive semidefinite; got the eigenvalue {s[0]:g}")
    s = np.maximum(s, 0.0)
    return (basis * (np.sqrt(s) + lift * s[-1])) @ basis.T


def square_matrix(name: str, value: ArrayLike) -> Array:
    """Return a finite, square, non-empty matrix, or raise ValueError."""
    matrix = finite(name, value, ndim=2)
    if matrix.shape[0] != matrix.shape[1] or not matrix.size:
        raise ValueError(f"{name} must be square; got the shape {matrix.shape}")
    return matrix


def symmetric_matrix(name: str, value: ArrayLike) -> Array:
    """Return a finite matrix that is symmetric to 1e-10 of its largest entry, or raise ValueError."""
    matrix = square_matrix(name, value)
    asymmetry = np.abs(matrix - matrix.T).max()
    if asymmetry > 1e-10 * np.abs(matrix).max():
        raise ValueError(f"{name} must be symmetric; got an asymmetry of {asymmetry:g}")
    return matrix
