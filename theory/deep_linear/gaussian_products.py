"""Products of independent Gaussian matrices, the initial state of a deep linear network: moments and exponents."""

from math import comb

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import digamma

from theory.validation import finite, integer

Array = NDArray[np.float64]


def fuss_catalan_moment(k: ArrayLike, *, depth: int) -> float | Array:
    r"""Limiting moments of the squared singular values of a product of D wide Gaussian matrices.

    For square factors with independent entries of variance 1/n the mean of the k-th power tends, as n grows, to

    .. math:: m_k = \frac{1}{Dk+1} \binom{(D+1)k}{k} ,

    the Fuss-Catalan numbers: m_1 = 1, m_2 = D + 1. Exact integer arithmetic, rounded once; costs O(k) an entry.

    Parameters
    ----------
    k : int or array_like of int
        Orders, nonnegative.
    depth : int
        Number D of factors, at least 1 (one factor: Marchenko-Pastur with square shape).

    Returns
    -------
    float or ndarray
        The moments, in the shape of ``k``.

    Raises
    ------
    ValueError
        If an order is negative or not whole, a moment exceeds the largest float, or ``depth`` < 1.

    References
    ----------
    Penson and Zyczkowski, "Product of Ginibre matrices: Fuss-Catalan and Raney distributions", 2011.

    Examples
    --------
    >>> fuss_catalan_moment([0, 1, 2, 3], depth=2)
    array([ 1.,  1.,  3., 12.])
    """
    orders = finite("k", k)
    D = integer("depth", depth, minimum=1)
    if np.any(orders != np.floor(orders)) or np.any(orders < 0):
        raise ValueError(f"k must hold whole numbers of at least 0; got {k!r}")
    try:
        moments = [float(comb((D + 1) * order, order) // (D * order + 1)) for order in map(int, orders.flat)]
    except OverflowError:
        raise ValueError(f"k must be so small that the moment is below 1.8e308; got {k!r} at depth {D}") from None
    return np.reshape(moments, orders.shape) if orders.ndim else moments[0]


def gaussian_product_edge(*, depth: int) -> float:
    r"""Largest squared singular value of a product of D wide Gaussian matrices, :math:`(D+1)^{D+1} / D^D`.

    Grows as e D while the mean square stays 1. At width n the edge is approached at the slow rate n^(-2/3).

    Parameters
    ----------
    depth : int
        Number D of square factors with entries of variance 1/n, at least 1.

    Returns
    -------
    float
        Right end of the limiting spectrum.

    Raises
    ------
    ValueError
        If ``depth`` < 1.

    References
    ----------
    Penson and Zyczkowski, "Product of Ginibre matrices: Fuss-Catalan and Raney distributions", 2011.

    Examples
    --------
    >>> gaussian_product_edge(depth=2)
    6.75
    """
    D = integer("depth", depth, minimum=1)
    return float((D + 1) * np.exp(D * np.log1p(1 / D))) if D > 64 else (D + 1) * ((D + 1) / D) ** D


def gaussian_product_second_moment(*, n: int, depth: int) -> float:
    r"""Exact mean of the squared squared-singular-values of a product of D Gaussian n x n matrices.

    With :math:`A = W_D \cdots W_1` and entries of variance 1/n, the pair
    :math:`x = E (\tfrac1n \operatorname{tr} A^TA)^2`, :math:`y = \tfrac1n E \operatorname{tr} (A^TA)^2` obeys

    .. math:: x \leftarrow x + \tfrac{2}{n^2} y , \qquad y \leftarrow x + (1 + \tfrac1n) y

    at every factor, from x = y = 1. Returns y, which tends to D + 1 for n -> infinity. Costs O(log D).

    Parameters
    ----------
    n : int
        Width, at least 1.
    depth : int
        Number D of factors, at least 0.

    Returns
    -------
    float
        The second moment of the squared singular values at finite width.

    Raises
    ------
    ValueError
        If ``n`` < 1, ``depth`` < 0, or the moment exceeds the largest float.

    References
    ----------
    Derived here from Isserlis' theorem, for the initial weights of Saxe, McClelland and Ganguli, arXiv:1312.6120.

    Examples
    --------
    >>> round(gaussian_product_second_moment(n=20, depth=4), 3)
    5.578
    """
    n = integer("n", n, minimum=1)
    D = integer("depth", depth, minimum=0)
    factor = np.array([[1.0, 2 / n**2], [1.0, 1 + 1 / n]])
    with np.errstate(over="ignore", invalid="ignore"):
        moment = float(np.linalg.matrix_power(factor, D)[1].sum())
    if not np.isfinite(moment):
        raise ValueError(f"depth must be so small that the moment is below 1.8e308; got {D} at n = {n}")
    return moment


def gaussian_product_fourth_norm(*, n: int, depth: int) -> float:
    r"""Exact :math:`E |W_D \cdots W_1 v|^4 = (1 + 2/n)^D` for a unit vector and entries of variance 1/n.

    The mean square is 1 at every depth, so this is also one plus the relative variance of the squared norm.

    Parameters
    ----------
    n : int
        Width, at least 1.
    depth : int
        Number D of factors, at least 0.

    Returns
    -------
    float
        The fourth moment of the norm.

    Raises
    ------
    ValueError
        If ``n`` < 1, ``depth`` < 0, or the moment exceeds the largest float.

    References
    ----------
    The fourth moment of chi distributed factors; setting of Saxe, McClelland and Ganguli, arXiv:1312.6120.

    Examples
    --------
    >>> gaussian_product_fourth_norm(n=2, depth=3)
    8.0
    """
    n = integer("n", n, minimum=1)
    D = integer("depth", depth, minimum=0)
    try:
        return (1 + 2 / n) ** D
    except OverflowError:
        raise ValueError(f"depth must be so small that the moment is below 1.8e308; got {D} at n = {n}") from None


def gaussian_product_log_norm(*, n: int, depth: int) -> float:
    r"""Exact :math:`E \ln |W_D \cdots W_1 v|^2 = D [\psi(n/2) + \ln(2/n)]` for a unit vector, entries of variance 1/n.

    About -D/n: a typical vector shrinks although its mean square does not.

    Parameters
    ----------
    n : int
        Width, at least 1.
    depth : int
        Number D of factors, at least 0.

    Returns
    -------
    float
        The mean logarithm of the squared norm.

    Raises
    ------
    ValueError
        If ``n`` < 1 or ``depth`` < 0.

    References
    ----------
    The mean logarithm of a chi-square; setting of Saxe, McClelland and Ganguli, arXiv:1312.6120.

    Examples
    --------
    >>> round(gaussian_product_log_norm(n=40, depth=8), 4)
    -0.2017
    """
    n = integer("n", n, minimum=1)
    D = integer("depth", depth, minimum=0)
    return float(D * 2 * _lyapunov(np.asarray(n, dtype=float), n))


def gaussian_lyapunov_exponents(n: int) -> Array:
    r"""Exponents at which the singular values of a product of D Gaussian n x n matrices separate as D grows.

    .. math:: \lim_{D\to\infty} \tfrac1D \ln \sigma_i = \tfrac12 \Bigl[\ln\tfrac2n + \psi\bigl(\tfrac{n-i+1}{2}\bigr)
            \Bigr] , \qquad i = 1, \dots, n ,

    for real entries of variance 1/n; orthogonal factors have all exponents 0. Costs O(n).

    Parameters
    ----------
    n : int
        Width, at least 1.

    Returns
    -------
    ndarray, shape (n,)
        The exponents, in decreasing order.

    Raises
    ------
    ValueError
        If ``n`` < 1.

    References
    ----------
    Newman, "The distribution of Lyapunov exponents: exact results for random matrices", 1986.

    Examples
    --------
    >>> gaussian_lyapunov_exponents(2).round(3)
    array([-0.289, -0.982])
    """
    n = integer("n", n, minimum=1)
    return _lyapunov(np.arange(n, 0, -1.0), n)


def _lyapunov(degrees: Array, n: int) -> Array:
    """Mean of ln sqrt(chi-square / n) at the given degrees of freedom."""
    return 0.5 * (np.log(2 / n) + digamma(degrees / 2))
