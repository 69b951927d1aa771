"""Step sizes at which training stays where it is: gradient descent, with momentum, and stochastic."""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq

from theory import validation
from theory.optimization.batch_hessian import (
    BatchHessianOutlier,
    batch_hessian_edge_shift,
    batch_hessian_outlier,
    batch_hessian_outlier_shift,
    effective_batch_size,
    learning_rate_exponent,
)
from theory.optimization.scale_invariance import (
    EffectiveStep,
    check_momentum,
    effective_step,
    momentum_growth_ratio,
    momentum_norm_growth,
)

Array = NDArray[np.float64]

__all__ = [
    "BatchHessianOutlier",
    "EffectiveStep",
    "batch_hessian_edge_shift",
    "batch_hessian_outlier",
    "batch_hessian_outlier_shift",
    "critical_learning_rate",
    "effective_batch_size",
    "effective_step",
    "gaussian_critical_learning_rate",
    "gaussian_second_moment_operator",
    "gradient_descent_threshold",
    "learning_rate_exponent",
    "momentum_growth_ratio",
    "momentum_norm_growth",
    "second_moment_operator",
    "trace_bound",
]


def gradient_descent_threshold(sharpness: float, *, momentum: float = 0.0, weight_norm: float | None = None) -> float:
    r"""Largest step size at which (heavy-ball) gradient descent is linearly stable at a minimum.

    .. math:: \eta_c = \frac{2 (1 + \beta)}{h}

    with :math:`p_t = \beta p_{t-1} + \nabla L`, :math:`w_{t+1} = w_t - \eta p_t`: the roots of
    :math:`z^2 - (1 + \beta - \eta h) z + \beta` stay inside the unit disc up to it. For a scale-invariant loss whose
    Hessian at the unit vector w/||w|| has top eigenvalue h, the Hessian at w is that over ||w||^2: pass
    ``weight_norm``, and the threshold grows with its square.

    Parameters
    ----------
    sharpness : float
        Top Hessian eigenvalue h > 0 at the minimum; at the normalised minimum when ``weight_norm`` is given.
    momentum : float
        beta in [0, 1).
    weight_norm : float, optional
        ||w|| > 0 of scale-invariant weights.

    Returns
    -------
    float
        In units of 1 / curvature.

    Raises
    ------
    ValueError
        If an argument is out of range.

    References
    ----------
    Textbook (Polyak 1964); the scaling with the norm follows Heo et al. (2021), arXiv:2006.08217.

    Examples
    --------
    >>> gradient_descent_threshold(4.0), gradient_descent_threshold(4.0, momentum=0.5, weight_norm=2.0)
    (0.5, 3.0)
    """
    h = validation.positive_scalar("sharpness", sharpness)
    beta = check_momentum(momentum)
    norm = 1.0 if weight_norm is None else validation.positive_scalar("weight_norm", weight_norm)
    return 2 * (1 + beta) / h * norm**2


def second_moment_operator(features: ArrayLike, *, learning_rate: float, batch_size: int = 1) -> Array:
    r"""Matrix that advances :math:`E[\delta\delta^\top]` by one step of SGD on a linear model at a zero-loss minimum.

    With loss :math:`\frac{1}{2n}\sum_i (x_i\cdot\delta)^2`, :math:`H = \frac1n\sum_i x_i x_i^\top` and batches drawn
    with replacement,

    .. math:: T(A) = (I - \eta H) A (I - \eta H) + \frac{\eta^2}{B}\Bigl(\frac1n \sum_i x_i x_i^\top A\, x_i x_i^\top
              - H A H\Bigr) .

    Stable in mean square exactly when the spectral radius is at most 1. Acts on row-major vec(A); symmetric. Costs
    O(n d^4).

    Parameters
    ----------
    features : array_like, shape (n, d)
        x_i, the gradients of the model's outputs at the minimum.
    learning_rate : float
        eta > 0, in units of 1 / curvature.
    batch_size : int
        B >= 1.

    Returns
    -------
    ndarray, shape (d^2, d^2)

    Raises
    ------
    ValueError
        If an argument is out of range, not finite, or not a matrix.

    References
    ----------
    Wu, Su (2023), arXiv:2305.17490.

    Examples
    --------
    >>> second_moment_operator([[2.0]], learning_rate=0.25).tolist()
    [[0.0]]
    """
    x = _check_features(features)
    eta = validation.positive_scalar("learning_rate", learning_rate)
    B = validation.integer("batch_size", batch_size, minimum=1)
    n, d = x.shape
    H = x.T @ x / n
    contraction = np.eye(d) - eta * H
    outer = (x[:, :, None] * x[:, None, :]).reshape(n, d * d)
    return np.kron(contraction, contraction) + eta**2 / B * (outer.T @ outer / n - np.kron(H, H))


def critical_learning_rate(features: ArrayLike, *, batch_size: int = 1) -> float:
    r"""Step size at which the spectral radius of :func:`second_moment_operator` is 1.

    As :math:`T = I - \eta \mathcal{L} + \eta^2 \mathcal{M}` with :math:`\mathcal{L}(A) = HA + AH` and
    :math:`\mathcal{M}(A) = E[H_B A H_B]` both positive semidefinite, and as T preserves positive semidefinite matrices,
    its spectral radius is its largest eigenvalue, at most 1 exactly when :math:`\eta\mathcal{M} \preceq \mathcal{L}`:

    .. math:: \eta_c = 1 / \lambda_{\max}(\mathcal{M}, \mathcal{L}) ,

    one generalised symmetric eigenvalue on symmetric matrices over the span of the features, no bisection. Directions
    without curvature are neutral at every step size. Costs O(r^6 + n r^4), r the rank of the features.

    Parameters
    ----------
    features : array_like, shape (n, d)
        x_i, not all zero.
    batch_size : int
        B >= 1, drawn with replacement.

    Returns
    -------
    float
        eta_c > 0, in units of 1 / curvature.

    Raises
    ------
    ValueError
        If an argument is out of range, or all features are zero.

    References
    ----------
    Wu, Su (2023), arXiv:2305.17490; the eigenvalue form is derived here.

    Examples
    --------
    >>> round(critical_learning_rate([[2.0]]), 12)
    0.5
    """
    x = _check_features(features)
    B = validation.integer("batch_size", batch_size, minimum=1)
    n = len(x)
    left, sizes, _ = np.linalg.svd(x, full_matrices=False)
    rank = int((sizes > 1e-12 * sizes[0]).sum())
    y = left[:, :rank] * sizes[:rank]
    h = sizes[:rank] ** 2 / n  # H is diagonal in the basis of y
    a, b = np.triu_indices(rank)
    weight = np.where(a == b, 1.0, np.sqrt(2.0))
    sums = h[a] + h[b]
    # coordinates of an orthonormal basis of symmetric matrices, already divided by the root of the first operator
    moments = y[:, a] * y[:, b] * weight / np.sqrt(sums)
    noise = moments.T @ moments / (n * B)
    return float(1 / np.linalg.eigvalsh(noise + (1 - 1 / B) * np.diag(h[a] * h[b] / sums))[-1])


def trace_bound(features: ArrayLike, *, batch_size: int = 1) -> float:
    r"""Upper bound on the step size at which SGD can be stable in mean square, from traces alone.

    .. math:: \eta_c \le \frac{2\,\mathrm{tr} H}{(1 - 1/B)\,\mathrm{tr} H^2 + \frac{1}{B}\,\mathrm{mean}_i \|x_i\|^4}
              \le \frac{2 B}{\mathrm{tr} H}

    by testing stability on A = I. Attained by orthogonal features of equal norm. B = 1 gives tr H <= 2 / eta. Costs
    O(n d min(n, d)).

    Parameters
    ----------
    features : array_like, shape (n, d)
        x_i, not all zero.
    batch_size : int
        B >= 1, drawn with replacement.

    Returns
    -------
    float
        In units of 1 / curvature.

    Raises
    ------
    ValueError
        If an argument is out of range, or all features are zero.

    References
    ----------
    Wu, Su (2023), arXiv:2305.17490, for B = 1; the form for any B is derived here.

    Examples
    --------
    >>> trace_bound([[2.0, 0.0], [0.0, 2.0]])
    0.5
    """
    x = _check_features(features)
    B = validation.integer("batch_size", batch_size, minimum=1)
    n, d = x.shape
    squares = np.sum(x**2, axis=1)
    gram = x.T @ x if d <= n else x @ x.T
    return float(2 * squares.mean() / ((1 - 1 / B) * np.sum((gram / n) ** 2) + np.mean(squares**2) / B))


def gaussian_second_moment_operator(eigenvalues: ArrayLike, *, learning_rate: float, batch_size: int = 1) -> Array:
    r"""Matrix that advances :math:`E[\delta_i^2]` by one step of SGD on fresh Gaussian inputs x ~ N(0, diag(lambda)).

    .. math:: D = \mathrm{diag}(1 - \eta\lambda)^2 + \frac{\eta^2}{B} \bigl(\mathrm{diag}(\lambda)^2
              + \lambda\lambda^\top\bigr)

    by the fourth moments of a Gaussian. Squares evolve among themselves: products of different coordinates have no
    part in them. Symmetric, and as positive matrices go, its largest eigenvalue decides about mean-square stability.

    Parameters
    ----------
    eigenvalues : array_like, shape (d,)
        lambda_i >= 0.
    learning_rate : float
        eta > 0, in units of 1 / curvature.
    batch_size : int
        B >= 1 fresh inputs a step.

    Returns
    -------
    ndarray, shape (d, d)

    Raises
    ------
    ValueError
        If an argument is out of range or not finite.

    References
    ----------
    Derived here, in the setting of Wu, Su (2023), arXiv:2305.17490.

    Examples
    --------
    >>> gaussian_second_moment_operator([1.0], learning_rate=0.5).tolist()  # 1 - 2/2 + 3/4
    [[0.75]]
    """
    lam = validation.nonnegative("eigenvalues", eigenvalues, ndim=1)
    eta = validation.positive_scalar("learning_rate", learning_rate)
    B = validation.integer("batch_size", batch_size, minimum=1)
    return np.diag((1 - eta * lam) ** 2) + eta**2 / B * (np.diag(lam**2) + np.outer(lam, lam))


def gaussian_critical_learning_rate(eigenvalues: ArrayLike, *, batch_size: int = 1) -> float:
    r"""Step size at which SGD on fresh Gaussian inputs x ~ N(0, diag(lambda)) loses mean-square stability.

    The root of

    .. math:: \sum_i \frac{\eta\lambda_i}{B \bigl(2 - \eta\lambda_i (1 + 1/B)\bigr)} = 1, \qquad
              \eta \max_i \lambda_i < \frac{2}{1 + 1/B} ,

    which for B = 1 reads :math:`\sum_i \eta\lambda_i / (2 (1 - \eta\lambda_i)) = 1`. Bracketed root, to 4 roundings.

    Parameters
    ----------
    eigenvalues : array_like, shape (d,)
        lambda_i >= 0, not all zero.
    batch_size : int
        B >= 1 fresh inputs a step.

    Returns
    -------
    float
        In units of 1 / curvature.

    Raises
    ------
    ValueError
        If an eigenvalue is negative or not finite, or all are zero.

    References
    ----------
    Derived here, in the setting of Wu, Su (2023), arXiv:2305.17490.

    Examples
    --------
    >>> round(gaussian_critical_learning_rate([1.0]), 12)
    0.666666666667
    """
    lam = validation.nonnegative("eigenvalues", eigenvalues, ndim=1)
    B = validation.integer("batch_size", batch_size, minimum=1)
    if not lam.any():
        raise ValueError("eigenvalues must not all be zero: without curvature every step size is stable")
    largest = lam.max()
    ratios = lam[lam > 0] / largest
    d = len(ratios)

    def excess(s: float) -> float:
        # s = 2 / (eta lambda_max) - (1 + 1/B), the distance to the pole, stays accurate next to it
        return np.sum(ratios / (s + (1 + 1 / B) * (1 - ratios))) - B

    # the top term alone is 1/s, and no term exceeds it
    s = brentq(excess, 0.5 / B, 2.0 * d / B, xtol=1e-300, rtol=4 * np.finfo(float).eps)
    return float(2 / (largest * (s + 1 + 1 / B)))


def _check_features(features: ArrayLike) -> Array:
    x = validation.finite("features", features, ndim=2)
    if not x.size:
        raise ValueError(f"features must have shape (n, d) with n, d >= 1; got {x.shape}")
    if not x.any():
        raise ValueError("features must not all be zero: without curvature every step size is stable")
    return x
