"""Complexities of hypothesis classes: Rademacher averages by enumeration and by bounds, and counts of dichotomies."""

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray

from theory import validation
from theory.generalization._counts import counts
from theory.generalization._tails import stirling_error

Array = NDArray[np.float64]

MAX_SIGNS = 26


def rademacher_linear(X: ArrayLike, radius: float = 1.0) -> float:
    r"""Empirical Rademacher complexity of linear functions of bounded norm, over all sign vectors.

    .. math:: \hat R = \frac1n E_\sigma \sup_{\|w\| \le B} \sum_i \sigma_i\, w \cdot x_i
              = \frac Bn E_\sigma \Bigl\| \sum_i \sigma_i x_i \Bigr\|,
              \qquad \frac{B \|X\|_F}{\sqrt 2\, n} \le \hat R \le \frac{B \|X\|_F}{n}

    No absolute value inside the supremum, and 1/n rather than 2/n. The upper bound is attained by orthogonal rows, the
    lower one by two equal rows. Costs O(2^(n-1) d): sign vectors follow one another by single flips.

    Parameters
    ----------
    X : array_like, shape (n, d)
        Rows; at most 26 of them.
    radius : float
        B > 0.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        If X is empty or has too many rows, or the radius is not positive.

    Examples
    --------
    >>> round(rademacher_linear([[1.0], [1.0]]), 12)
    0.5
    """
    X = validation.finite("X", X, ndim=2)
    n = _enumerable(X.shape[0], "X")
    return validation.positive_scalar("radius", radius) * _mean_norm(np.ascontiguousarray(X)) / n


def rademacher_linear_gaussian(n: ArrayLike, d: ArrayLike, radius: ArrayLike = 1.0) -> Array:
    r"""Rademacher complexity of linear functions of bounded norm on standard Gaussian rows, averaged over rows too.

    .. math:: E \hat R = \frac{B}{\sqrt n}\, \frac{\sqrt 2\, \Gamma((d + 1) / 2)}{\Gamma(d / 2)}

    Parameters
    ----------
    n, d : array_like of int
        Numbers of rows and of dimensions >= 1.
    radius : array_like
        B > 0.

    Returns
    -------
    ndarray or float

    Raises
    ------
    ValueError
        If an argument is out of range.

    Examples
    --------
    >>> round(float(rademacher_linear_gaussian(10, 3)), 12)
    0.504626504404
    """
    n, d = counts("n", n, minimum=1), counts("d", d, minimum=1)
    return (validation.positive("radius", radius) * mean_norm_of_gaussian(d) / np.sqrt(n))[()]


def mean_norm_of_gaussian(d: ArrayLike) -> Array:
    """Return the mean norm of a standard Gaussian vector in d dimensions.

    In odd dimensions the Gamma functions are factorials, of known Stirling errors, so that nothing cancels; the norms
    obey m(d) m(d + 1) = d.
    """
    size = np.asarray(d, dtype=float)
    odd = np.where(size % 2 == 0, size + 1, size)  # Gamma((odd + 1) / 2) is a factorial
    half = (odd - 1) / 2
    # the mean norm at d = 2h + 1 is sqrt(2 / pi) 4^h h!^2 / (2h)!, = sqrt(2h) e^(2 s(h) - s(2h)) with Stirling errors s
    safe = np.maximum(half, 1.0)
    at_odd = np.sqrt(2 / np.pi) * np.where(
        half == 0, 1.0, np.sqrt(np.pi * safe) * np.exp(2 * stirling_error(safe) - stirling_error(2 * safe))
    )
    return np.where(size % 2 == 0, size / at_odd, at_odd)


def rademacher_finite(A: ArrayLike) -> float:
    r"""Rademacher complexity of a finite set of vectors, over all sign vectors.

    .. math:: \hat R = \frac1n E_\sigma \max_{a \in A} \sigma \cdot a

    Costs O(2^n |A|).

    Parameters
    ----------
    A : array_like, shape (|A|, n)
        Values of the functions at n points; at most 26 of them.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        If A is empty or has too many columns.

    Examples
    --------
    >>> round(rademacher_finite([[1, 1], [1, -1], [-1, -1]]), 12)  # thresholds on two points
    0.75
    """
    A = validation.finite("A", A, ndim=2)
    if A.shape[0] == 0:
        raise ValueError("A must hold at least one vector; got none")
    return _mean_maximum(np.ascontiguousarray(A)) / _enumerable(A.shape[1], "A")


def massart_bound(num_vectors: ArrayLike, n: ArrayLike) -> Array:
    r"""Massart's bound :math:`\sqrt{2 \ln |A| / n}` on the Rademacher complexity of vectors of norm at most sqrt(n).

    Parameters
    ----------
    num_vectors, n : array_like of int
        |A| and n, both >= 1.

    Returns
    -------
    ndarray or float

    Raises
    ------
    ValueError
        If a number is below 1.

    References
    ----------
    Massart (2000), lemma 5.2.

    Examples
    --------
    >>> round(float(massart_bound(11, 10)), 12)
    0.69251646519
    """
    number, n = counts("num_vectors", num_vectors, minimum=1), counts("n", n, minimum=1)
    return np.sqrt(2 * np.log(number) / n)[()]


def cover_count(num_points: int, dim: int) -> int:
    r"""Count the labellings of points in general position that hyperplanes through the origin realise.

    .. math:: C(N, d) = 2 \sum_{k < d} \binom{N - 1}{k}

    Half of all 2^N at N = 2 d, all of them up to N = d.

    Parameters
    ----------
    num_points, dim : int
        N and d, both >= 1.

    Returns
    -------
    int
        Exact.

    Raises
    ------
    ValueError
        If a number is below 1.

    References
    ----------
    Cover (1965); Schlaefli (1852).

    Examples
    --------
    >>> cover_count(7, 3)
    44
    """
    N = validation.integer("num_points", num_points, minimum=1)
    return 2 * sauer_bound(N - 1, validation.integer("dim", dim, minimum=1) - 1)


def sauer_bound(m: int, vc_dim: int) -> int:
    r"""Largest number of labellings of m points by a class of VC dimension v.

    .. math:: \sum_{i \le v} \binom mi \le \Bigl(\frac{e m}{v}\Bigr)^v \quad (m \ge v \ge 1)

    Parameters
    ----------
    m, vc_dim : int
        Both >= 0.

    Returns
    -------
    int
        Exact; attained by unions of v / 2 intervals.

    Raises
    ------
    ValueError
        If a number is negative.

    References
    ----------
    Sauer (1972); Vapnik and Chervonenkis (1971).

    Examples
    --------
    >>> sauer_bound(10, 2)
    56
    """
    m, v = validation.integer("m", m, minimum=0), validation.integer("vc_dim", vc_dim, minimum=0)
    if v >= m:
        return 2**m
    total, term = 1, 1
    for i in range(1, v + 1):
        term = term * (m - i + 1) // i
        total += term
    return total


def _enumerable(n: int, name: str) -> int:
    if not 1 <= n <= MAX_SIGNS:
        raise ValueError(f"{name} must have between 1 and {MAX_SIGNS} points, whose signs are enumerated; got {n}")
    return n


@njit(cache=True)
def _mean_norm(X):
    """Mean norm of signed sums of rows; the last sign is fixed, and single flips visit all others."""
    n, d = X.shape
    signs = np.ones(n)
    total = np.zeros(d)
    for i in range(n):
        total += X[i]
    mean = np.sqrt(np.sum(total**2))
    number = 1 << (n - 1)
    for step in range(1, number):
        flip = 0
        while (step >> flip) & 1 == 0:
            flip += 1
        signs[flip] = -signs[flip]
        total += 2 * signs[flip] * X[flip]
        mean += np.sqrt(np.sum(total**2))
    return mean / number


@njit(cache=True)
def _mean_maximum(A):
    m, n = A.shape
    signs = np.ones(n)
    inner = np.zeros(m)
    for i in range(n):
        inner += A[:, i]
    mean = inner.max()
    number = 1 << n
    for step in range(1, number):
        flip = 0
        while (step >> flip) & 1 == 0:
            flip += 1
        signs[flip] = -signs[flip]
        inner += 2 * signs[flip] * A[:, flip]
        mean += inner.max()
    return mean / number
