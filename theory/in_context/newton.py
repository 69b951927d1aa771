r"""Newton's iteration for a matrix inverse, as a solver of in-context least squares, beside gradient descent.

A prompt of n examples, rows :math:`x_i` of X with answers y, has the Gram matrix :math:`S = X^T X`, a sum and not a
mean. Both methods multiply the minimum-norm solution's error by a polynomial in S, the residual:
:math:`w_* - w = r(S)\, w_*`. Everything here follows from that polynomial.

Two starts are in use, called ``init``: ``"gram"``, :math:`M_0 = \alpha S` with power p = 2 below, and ``"identity"``,
:math:`M_0 = \alpha I` with p = 1.
"""

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from theory.in_context._error_similarity import best_matching_step, error_cosine, similarity_of_errors
from theory.in_context._least_squares_streams import (
    kaczmarz_recall_error,
    ogd_mean_square_error,
    recursive_least_squares,
)
from theory.in_context._newton_attention import Layer, newton_attention_layers, relu_attention_layers
from theory.in_context._newton_counts import (
    OptimalStart,
    gd_steps_matching_newton,
    gd_steps_to_tolerance,
    newton_steps_to_tolerance,
    optimal_newton_start,
)
from theory.in_context._newton_limits import newton_mse_correction, newton_mse_limit
from theory.in_context._newton_residual import Init, power_of, repeated
from theory.validation import finite, integer, nonnegative, positive_scalar

__all__ = [
    "Init",
    "Layer",
    "OptimalStart",
    "best_matching_step",
    "error_cosine",
    "gd_residual",
    "gd_steps_matching_newton",
    "gd_steps_to_tolerance",
    "kaczmarz_recall_error",
    "newton_attention_layers",
    "newton_attention_predict",
    "newton_inverse",
    "newton_mse_correction",
    "newton_mse_limit",
    "newton_residual",
    "newton_schulz_iterates",
    "newton_steps_to_tolerance",
    "ogd_mean_square_error",
    "optimal_newton_start",
    "recursive_least_squares",
    "relu_attention_layers",
    "similarity_of_errors",
]

Array = NDArray[np.float64]


def newton_schulz_iterates(
    gram: ArrayLike, *, n_steps: int, alpha: float, init: Literal["gram", "identity"] = "gram"
) -> Array:
    r"""Iterate Newton's method for the inverse of a symmetric matrix.

    .. math:: M_{k+1} = 2 M_k - M_k S M_k , \qquad M_0 = \alpha S \text{ or } \alpha I .

    Converges to :math:`S^+` (gram), or to the inverse of a regular S (identity), when
    :math:`0 < \alpha s_1^p < 2`, the ends excluded. With a singular S rounding doubles in the null space at every
    step: stop at about :math:`2 \log_2 \kappa + 8`. Costs O(d^3) a step.

    Parameters
    ----------
    gram : array_like, shape (d, d)
        Symmetric positive semidefinite S.
    n_steps : int
        Number of iterations, at least 0.
    alpha : float
        Constant of the start, positive; in units of 1/S^p.
    init : {"gram", "identity"}
        Start.

    Returns
    -------
    ndarray, shape (n_steps + 1, d, d)
        Index k holds M_k.

    Raises
    ------
    ValueError
        If S is not square or not symmetric, a number is out of range, or alpha is so large that an iterate overflows.

    References
    ----------
    Fu, Chen, Jia and Sharan, arXiv:2310.17086, the iteration; Ben-Israel and Cohen, SIAM J. Numer. Anal. 3 (1966).

    Examples
    --------
    >>> newton_schulz_iterates([[2.0]], n_steps=3, alpha=0.1)[:, 0, 0]
    array([0.2       , 0.32      , 0.4352    , 0.49160192])
    """
    S = finite("gram", gram, ndim=2)
    if S.shape[0] != S.shape[1] or not np.allclose(S, S.T, rtol=1e-10, atol=1e-12 * np.max(np.abs(S), initial=0.0)):
        raise ValueError(f"gram must be square and symmetric; got shape {S.shape}")
    steps = integer("n_steps", n_steps, minimum=0)
    start = positive_scalar("alpha", alpha) * (S if power_of(init) == 2 else np.eye(S.shape[0]))
    iterates = np.empty((steps + 1, *S.shape))
    iterates[0] = start
    with np.errstate(over="ignore", invalid="ignore"):
        for k in range(steps):
            iterates[k + 1] = 2 * iterates[k] - iterates[k] @ S @ iterates[k]
    if not np.isfinite(iterates).all():
        raise ValueError(f"alpha must be below 2 over the largest eigenvalue of gram to the power p; got {alpha}")
    return iterates


def newton_residual(
    eigenvalues: ArrayLike, *, step: int, alpha: float, init: Literal["gram", "identity"] = "gram"
) -> Array:
    r"""Residual polynomial of Newton's iteration at eigenvalues of S.

    .. math:: r_k(s) = 1 - s\, m_k(s) = (1 - \alpha s^p)^{2^k} , \qquad w_* - w_k = r_k(S)\, w_* .

    Evaluated through logarithms, so that no accuracy is lost to the power. Costs O(1) an entry.

    Parameters
    ----------
    eigenvalues : array_like
        Eigenvalues s of S, nonnegative, any shape.
    step : int
        Number k of iterations, at least 0.
    alpha : float
        Constant of the start, positive.
    init : {"gram", "identity"}
        Start, p = 2 or p = 1.

    Returns
    -------
    ndarray
        Residuals, of the shape of ``eigenvalues``; 1 where s = 0.

    Raises
    ------
    ValueError
        If an argument is out of range, or the residual overflows because alpha s^p is above 2.

    References
    ----------
    Fu, Chen, Jia and Sharan, arXiv:2310.17086, convergence of the iteration.

    Examples
    --------
    >>> newton_residual([0.0, 1.0], step=2, alpha=0.5)
    array([1.    , 0.0625])
    """
    s = nonnegative("eigenvalues", eigenvalues)
    k = integer("step", step, minimum=0)
    return repeated(positive_scalar("alpha", alpha) * s ** power_of(init), 2**k)


def newton_inverse(
    eigenvalues: ArrayLike, *, step: int, alpha: float, init: Literal["gram", "identity"] = "gram"
) -> Array:
    r"""Eigenvalues of Newton's iterate M_k, as a function of those of S.

    .. math:: m_k(s) = \frac{1 - (1 - \alpha s^p)^{2^k}}{s} , \qquad m_k(0) = 0 \text{ (gram)}, \quad
            m_k(0) = 2^k \alpha \text{ (identity)} .

    From the Gram start the null space of S stays at zero and M_k tends to the pseudo-inverse; from the identity its
    part there doubles for ever, which the weights :math:`M_k X^T y` never see. Costs O(1) an entry.

    Parameters
    ----------
    eigenvalues : array_like
        Eigenvalues s of S, nonnegative, any shape.
    step : int
        Number k of iterations, at least 0.
    alpha : float
        Constant of the start, positive.
    init : {"gram", "identity"}
        Start.

    Returns
    -------
    ndarray
        Eigenvalues of M_k, of the shape of ``eigenvalues``.

    Raises
    ------
    ValueError
        If an argument is out of range, or the result overflows.

    References
    ----------
    Derived from the residual of Fu, Chen, Jia and Sharan, arXiv:2310.17086.

    Examples
    --------
    >>> newton_inverse([0.0, 2.0], step=3, alpha=0.25, init="identity")
    array([2.        , 0.49804688])
    """
    s = nonnegative("eigenvalues", eigenvalues)
    k = integer("step", step, minimum=0)
    constant, p = positive_scalar("alpha", alpha), power_of(init)
    gained = 1 - repeated(constant * s**p, 2**k)
    small = constant * s**p < 0.5  # where 1 - r would cancel
    gained = np.where(small, -np.expm1(2.0**k * np.log1p(-np.where(small, constant * s**p, 0.0))), gained)
    at_zero = constant * 2.0**k if p == 1 else 0.0
    return np.where(s > 0, gained / np.where(s > 0, s, 1.0), at_zero)


def gd_residual(eigenvalues: ArrayLike, *, step: int, learning_rate: float) -> Array:
    r"""Residual polynomial of gradient descent from zero on half the summed squared error.

    .. math:: w_{t+1} = w_t - \eta (S w_t - X^T y) , \qquad w_* - w_t = (1 - \eta S)^t w_* .

    Parameters
    ----------
    eigenvalues : array_like
        Eigenvalues s of S, nonnegative, any shape.
    step : int
        Number t of steps, at least 0.
    learning_rate : float
        Step size eta, positive, in units of 1/S.

    Returns
    -------
    ndarray
        Residuals, of the shape of ``eigenvalues``.

    Raises
    ------
    ValueError
        If an argument is out of range, or the residual overflows.

    References
    ----------
    Textbook; Fu, Chen, Jia and Sharan, arXiv:2310.17086, compare with it.

    Examples
    --------
    >>> gd_residual([0.0, 1.0], step=3, learning_rate=1.5)
    array([ 1.   , -0.125])
    """
    s = nonnegative("eigenvalues", eigenvalues)
    return repeated(positive_scalar("learning_rate", learning_rate) * s, integer("step", step, minimum=0))


def newton_attention_predict(
    x: ArrayLike,
    y: ArrayLike,
    x_query: ArrayLike,
    *,
    n_steps: int,
    alpha: float,
    init: Literal["gram", "identity"] = "gram",
) -> float:
    r"""Answer of k iterations of Newton's method to a query.

    .. math:: \hat y = x_q^T M_k X^T y = x_q^T V\, m_k(\Sigma^2)\, \Sigma\, U^T y , \qquad X = U \Sigma V^T .

    The layers of `newton_attention_layers` compute the same without a decomposition. Costs O(n d min(n, d)).

    Parameters
    ----------
    x : array_like, shape (n, d)
        Inputs of the context.
    y : array_like, shape (n,)
        Their answers.
    x_query : array_like, shape (d,)
        Input to be answered.
    n_steps : int
        Iterations k, at least 0.
    alpha : float
        Constant of the start, positive.
    init : {"gram", "identity"}
        Start.

    Returns
    -------
    float
        The prediction.

    Raises
    ------
    ValueError
        If shapes do not match or a number is out of range.

    References
    ----------
    Fu, Chen, Jia and Sharan, arXiv:2310.17086, the theorem on transformers that implement Newton's iteration.

    Examples
    --------
    >>> round(newton_attention_predict([[1.0], [1.0]], [3.0, 3.0], [2.0], n_steps=1, alpha=0.125), 12)
    4.5
    """
    inputs, answers = finite("x", x, ndim=2), finite("y", y, ndim=1)
    query = finite("x_query", x_query, ndim=1)
    if answers.size != inputs.shape[0]:
        raise ValueError(f"y must hold one answer for each of the {inputs.shape[0]} rows of x; got {answers.size}")
    if query.size != inputs.shape[1]:
        raise ValueError(f"x_query must have as many entries as x has columns, {inputs.shape[1]}; got {query.size}")
    u, sigma, vt = np.linalg.svd(inputs, full_matrices=False)
    return float(
        (vt @ query) @ (newton_inverse(sigma**2, step=n_steps, alpha=alpha, init=init) * sigma * (u.T @ answers))
    )
