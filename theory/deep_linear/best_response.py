"""The best response of a two-layer linear network to the strength of its Jacobian penalty: gates on hidden units."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit

from theory.deep_linear._checks import broadcast
from theory.validation import finite, nonnegative

Array = NDArray[np.float64]


class BestResponse(NamedTuple):
    """First layer ``q``, which follows the penalty, and output weights ``s``, which do not."""

    q: Array
    s: Array


class _Problem(NamedTuple):
    """Singular values and right singular vectors of the inputs, and the targets in the left ones."""

    d: Array
    v: Array
    projected: Array
    unreachable: float  # squared length of the targets outside the span of the inputs

    @property
    def s(self) -> Array:
        return self.projected / self.d


def best_response_gates(singular_values: ArrayLike, log_penalty: ArrayLike) -> Array:
    r"""Share of each input mode that survives a penalty on the network's Jacobian.

    .. math:: g_i(\lambda) = \mathrm{sigmoid}(2 \ln d_i - \lambda) = \frac{d_i^2}{d_i^2 + e^\lambda} .

    Accurate to a few units of rounding for any finite arguments. Costs O(1) an entry.

    Parameters
    ----------
    singular_values : array_like
        Singular values d of the n x D matrix of inputs, nonnegative; of the matrix itself, not of its square or its
        mean.
    log_penalty : array_like
        Logarithm lambda of the penalty's strength, any real number; broadcasts against ``singular_values``.

    Returns
    -------
    ndarray
        Gates in [0, 1], in the joint shape.

    Raises
    ------
    ValueError
        If a singular value is negative, an entry is not finite, or the shapes do not broadcast.

    References
    ----------
    MacKay, Vicol, Lorraine, Duvenaud and Grosse, arXiv:1903.03088, best response of a two-layer linear network.

    Examples
    --------
    >>> best_response_gates([1.0, 3.0], 0.0)
    array([0.5, 0.9])
    """
    d, penalty = nonnegative("singular_values", singular_values), finite("log_penalty", log_penalty)
    broadcast(singular_values=d, log_penalty=penalty)
    return np.asarray(expit(_logit(d, penalty)))


def jacobian_best_response(x: ArrayLike, targets: ArrayLike, log_penalty: ArrayLike) -> BestResponse:
    r"""Weights of a two-layer linear network that minimise squared error plus the squared norm of its Jacobian.

    For :math:`f(x) = s^T Q x` and examples :math:`(x_i, t_i)`, i = 1..n, the objective

    .. math:: \sum_i (f(x_i) - t_i)^2 + \frac{e^\lambda}{n} \sum_i |\nabla f(x_i)|^2 = |X Q^T s - t|^2
            + e^\lambda |Q^T s|^2

    has, with :math:`X = U \mathrm{diag}(d) V^T`, the global minimiser

    .. math:: Q = \mathrm{diag}(g(\lambda))\, V^T , \qquad s = \mathrm{diag}(1/d)\, U^T t ,

    in which lambda does nothing but gate the rows of Q, that is the hidden units
    (:func:`best_response_gates`). It is one of many: :math:`(A Q, A^{-T} s)` is the same function for every invertible
    A, so compare :math:`Q^T s`, which is unique: the ridge estimate of ridge :math:`e^\lambda`. Costs one thin singular
    value decomposition.

    Parameters
    ----------
    x : array_like, shape (n, D)
        Inputs, one row an example, of full column rank.
    targets : array_like, shape (n,)
        Targets t.
    log_penalty : array_like, shape (...)
        Logarithm lambda of the penalty's strength. With the *mean* squared error as the first term, pass
        lambda + ln(n).

    Returns
    -------
    BestResponse
        ``q`` of shape (..., D, D), ``s`` of shape (D,).

    Raises
    ------
    ValueError
        If the shapes do not fit, an entry is not finite, or ``x`` has not full column rank.

    References
    ----------
    MacKay, Vicol, Lorraine, Duvenaud and Grosse, arXiv:1903.03088, best response of a two-layer linear network.

    Examples
    --------
    >>> q, s = jacobian_best_response([[1.0], [1.0]], [2.0, 4.0], 0.0)
    >>> (q.T @ s).round(12)
    array([2.])
    """
    problem, penalty = _decompose(x, targets), finite("log_penalty", log_penalty)
    return BestResponse(q=_gates(problem, penalty)[..., None] * problem.v.T, s=problem.s)


def best_response_derivative(x: ArrayLike, targets: ArrayLike, log_penalty: ArrayLike) -> Array:
    r"""Slope, in lambda, of the network's input weights along the best response.

    .. math:: \frac{d (Q^T s)}{d\lambda} = -V \bigl(g (1 - g)\, s\bigr) ,

    whatever the choice among equivalent (Q, s). Costs one thin singular value decomposition.

    Parameters
    ----------
    x, targets, log_penalty : array_like
        As in :func:`jacobian_best_response`.

    Returns
    -------
    ndarray, shape (..., D)
        Change of the weights for each unit of lambda.

    Raises
    ------
    ValueError
        As in :func:`jacobian_best_response`.

    References
    ----------
    Derived here from the best response of MacKay et al., arXiv:1903.03088.

    Examples
    --------
    >>> best_response_derivative([[1.0], [1.0]], [3.0, 3.0], 0.0).round(6)
    array([-0.666667])
    """
    problem, penalty = _decompose(x, targets), finite("log_penalty", log_penalty)
    open_gate, closed = _gates(problem, penalty), _gates(problem, penalty, closed=True)
    return -(open_gate * closed * problem.s) @ problem.v.T


def best_response_curvature(x: ArrayLike, targets: ArrayLike, log_penalty: ArrayLike) -> Array:
    r"""Second derivative of the network's input weights along the best response.

    .. math:: \frac{d^2 (Q^T s)}{d\lambda^2} = V \bigl(g (1 - g)(1 - 2 g)\, s\bigr) ,

    so that the tangent is best in directions whose gate is half open. Costs one thin singular value decomposition.

    Parameters
    ----------
    x, targets, log_penalty : array_like
        As in :func:`jacobian_best_response`.

    Returns
    -------
    ndarray, shape (..., D)
        Half of it, times the square of a step in lambda, is the leading error of :func:`local_best_response`.

    Raises
    ------
    ValueError
        As in :func:`jacobian_best_response`.

    References
    ----------
    Derived here from the best response of MacKay et al., arXiv:1903.03088.

    Examples
    --------
    >>> best_response_curvature([[1.0], [1.0]], [3.0, 3.0], 0.0).round(6)
    array([-0.222222])
    """
    problem, penalty = _decompose(x, targets), finite("log_penalty", log_penalty)
    open_gate, closed = _gates(problem, penalty), _gates(problem, penalty, closed=True)
    return (open_gate * closed * (closed - open_gate) * problem.s) @ problem.v.T


def local_best_response(x: ArrayLike, targets: ArrayLike, log_penalty: ArrayLike, *, around: float) -> Array:
    r"""Input weights of the network whose gates are replaced by their tangents in lambda.

    .. math:: \hat w(\lambda) = V \bigl([g_0 - g_0 (1 - g_0)(\lambda - \lambda_0)]\, s\bigr) , \qquad
            g_0 = g(\lambda_0) .

    Off by :math:`O((\lambda - \lambda_0)^2)`, see :func:`best_response_curvature`. Costs one thin singular value
    decomposition.

    Parameters
    ----------
    x, targets, log_penalty : array_like
        As in :func:`jacobian_best_response`.
    around : float
        The point lambda_0 of contact.

    Returns
    -------
    ndarray, shape (..., D)
        Weights that stand in for Q^T s.

    Raises
    ------
    ValueError
        As in :func:`jacobian_best_response`, or if ``around`` is not finite.

    References
    ----------
    MacKay, Vicol, Lorraine, Duvenaud and Grosse, arXiv:1903.03088, the local linear model of the best response.

    Examples
    --------
    >>> local_best_response([[1.0], [1.0]], [3.0, 3.0], [0.0, 0.3], around=0.0).round(6)
    array([[2. ],
           [1.8]])
    """
    problem, penalty = _decompose(x, targets), finite("log_penalty", log_penalty)
    contact = finite("around", around, ndim=0)
    gates, closed = _gates(problem, contact), _gates(problem, contact, closed=True)
    tangents = gates * (1 - closed * (penalty - contact)[..., None])
    return (tangents * problem.s) @ problem.v.T


def best_response_objective(x: ArrayLike, targets: ArrayLike, log_penalty: ArrayLike) -> Array:
    r"""Least value of squared error plus Jacobian penalty.

    .. math:: |t - U U^T t|^2 + \sum_i (1 - g_i)\, (u_i \cdot t)^2 ,

    which no network, linear or wider, deeper but linear, goes below. Costs one thin singular value decomposition.

    Parameters
    ----------
    x, targets, log_penalty : array_like
        As in :func:`jacobian_best_response`.

    Returns
    -------
    ndarray, shape (...)
        The objective at its minimum, in units of squared targets, summed over examples.

    Raises
    ------
    ValueError
        As in :func:`jacobian_best_response`.

    References
    ----------
    Derived here from the best response of MacKay et al., arXiv:1903.03088.

    Examples
    --------
    >>> print(best_response_objective([[1.0], [1.0]], [2.0, 4.0], 0.0).round(12))
    8.0
    """
    problem, penalty = _decompose(x, targets), finite("log_penalty", log_penalty)
    return np.asarray(problem.unreachable + _gates(problem, penalty, closed=True) @ problem.projected**2)


def _logit(d: Array, penalty: Array) -> Array:
    with np.errstate(divide="ignore"):
        return 2 * np.log(d) - penalty


def _gates(problem: _Problem, penalty: Array, *, closed: bool = False) -> Array:
    """Gates, or how far they are closed, which near 1 is not one minus rounding; shape (..., D)."""
    logit = _logit(problem.d, penalty[..., None])
    return np.asarray(expit(-logit if closed else logit))


def _decompose(x: ArrayLike, targets: ArrayLike) -> _Problem:
    inputs, t = finite("x", x, ndim=2), finite("targets", targets, ndim=1)
    n, dim = inputs.shape
    if t.shape != (n,):
        raise ValueError(f"targets must hold one number for each row of x, {n}; got {t.shape[0]}")
    if dim == 0 or n < dim:
        raise ValueError(f"x must have at least as many rows as columns, and at least one; got shape {inputs.shape}")
    u, d, vt = np.linalg.svd(inputs, full_matrices=False)
    rank = int(np.count_nonzero(d > n * np.finfo(float).eps * d[0]))
    if rank < dim:
        raise ValueError(f"x must have full column rank, {dim}; got rank {rank}")
    projected = u.T @ t
    return _Problem(d, vt.T, projected, float(np.sum((t - u @ projected) ** 2)))
