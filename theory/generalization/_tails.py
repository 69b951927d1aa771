r"""Tails of a sample mean: exact for coins, the classical bounds, and the sharp asymptotics of large deviations.

All take the number n of independent terms and the deviation t of the mean from its expectation.
"""

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray

from theory import validation
from theory.generalization._counts import counts
from theory.generalization._deviance import bernoulli_divergence, deviance, split_product

Array = NDArray[np.float64]

_STIRLING = (1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188)  # of 1/n, 1/n^3, ...
_SERIES_FROM = 16
_WHOLE = 8 * float(np.finfo(float).eps)  # a threshold this close to a whole number, relatively, is that number


def binomial_tail(n: ArrayLike, p: ArrayLike, t: ArrayLike) -> Array:
    r"""Probability that the mean of n coins exceeds its expectation by t or more.

    .. math:: P(\hat p \ge p + t) = \sum_{k \ge n (p + t)} \binom nk p^k (1 - p)^{n - k}

    The first term by Loader's saddle-point form, with k - n p taken exactly, times the continued fraction of the
    incomplete beta function: relative error below 1e-12 for n up to 1e9, as long as the result does not underflow.
    A threshold n (p + t) within a few roundings of a whole number is that number, so that p = 0.3, t = 0.2, n = 50
    asks for 25 heads. Costs up to O(sqrt n) a value.

    Parameters
    ----------
    n : array_like of int
        Numbers of coins >= 1, at most 2^53.
    p : array_like
        Probabilities in [0, 1].
    t : array_like
        Deviations >= 0.

    Returns
    -------
    ndarray or float

    Raises
    ------
    ValueError
        If an argument is out of range.

    Examples
    --------
    >>> round(float(binomial_tail(50, 0.3, 0.2)), 12)  # 25 heads or more
    0.002369547849
    """
    n = counts("n", n, minimum=1)
    p, t = validation.interval("p", p, 0, 1), validation.nonnegative("t", t)
    whole, p, t = np.broadcast_arrays(n, p, t)
    n_float = whole.astype(float)
    threshold = n_float * (p + t)
    nearest = np.rint(threshold)
    close = np.abs(threshold - nearest) <= _WHOLE * np.maximum(threshold, 1.0)
    k = np.where(close & ~((nearest == 0) & (threshold > 0)), nearest, np.ceil(threshold))
    return _upper_tail(whole, k, p)[()]


def _upper_tail(n: NDArray[np.int64], k: Array, p: Array) -> Array:
    """P(K >= k) for whole k above or about n p."""
    size = n.astype(float)
    expected, error = split_product(size, p)
    surplus = (k - expected) - error  # k - n p, exactly rounded
    inside = (k > 0) & (k < size) & (p > 0) & (p < 1)
    safe_k, safe_p = np.where(inside, k, 1.0), np.where(inside, p, 0.5)
    safe_n = np.where(inside, size, 2.0)
    excess = np.where(inside, surplus, 0.0)
    exponent = deviance(safe_k, safe_n * safe_p, excess) + deviance(safe_n - safe_k, safe_n * (1 - safe_p), -excess)
    correction = stirling_error(safe_n) - stirling_error(safe_k) - stirling_error(safe_n - safe_k)
    rest = safe_n - safe_k
    point = np.exp(correction - exponent) * np.sqrt(safe_n / (2 * np.pi * safe_k * rest))
    shape = n.shape
    ratio = _tail_over_first(safe_n.ravel(), safe_k.ravel(), safe_p.ravel(), excess.ravel()).reshape(shape)
    with np.errstate(divide="ignore"):
        certain = np.where(k <= 0, 1.0, np.where(k > size, 0.0, np.where(p == 1, 1.0, 0.0)))
        all_heads = np.exp(size * np.log(np.where(p > 0, p, 1.0))) * (p > 0)
    return np.where(inside, point * ratio, np.where((k == size) & (k > 0), all_heads, certain))


@njit(cache=True)
def _tail_over_first(n, k, p, surplus):
    """Sum of the binomial tail over its first term, by a continued fraction (modified Lentz).

    That of I_p(a, b) / (p^a (1 - p)^b / B(a, b)), with a = k, b = n - k + 1, where a - (a + b) p = surplus - p.
    """
    out = np.empty_like(n)
    for i in range(n.size):
        a, b, x = k[i], n[i] - k[i] + 1.0, p[i]
        slant = surplus[i] - x + 1.0
        value = a * slant / (a + 1.0)
        C, D = value, 0.0
        for m in range(1, 100_000_000):
            width = a + 2.0 * m - 1.0
            numerator = (a + m - 1.0) * (a + b + m - 1.0) * m * (b - m) * x * x / (width * width)
            denominator = m + m * (b - m) * x / width + (a + m) * (slant + m * (2.0 - x)) / (width + 2.0)
            D = 1.0 / (denominator + numerator * D)
            C = denominator + numerator / C
            change = C * D
            value *= change
            if abs(change - 1.0) < 4e-16 or b - m <= 0.0:
                break
        # p^a q^b / B(a, b) is k q times the first term
        out[i] = a * (1.0 - x) / value
    return out


def stirling_error(n: Array) -> Array:
    r"""Return :math:`\ln n! - \ln(\sqrt{2 \pi n} (n / e)^n)` for whole n >= 1, to rounding."""
    n = np.asarray(n, dtype=float)
    inverse = 1 / np.maximum(n, _SERIES_FROM)
    series = np.zeros_like(n)
    for coefficient in _STIRLING[::-1]:
        series = coefficient + series * inverse**2
    table = np.array(_SMALL_STIRLING)
    small = table[np.minimum(n, _SERIES_FROM - 1).astype(int)]
    return np.where(n < _SERIES_FROM, small, series * inverse)


# for n = 0 (never used), 1, ..., 15; from mpmath
_SMALL_STIRLING = (
    0.0,
    0.08106146679532726,
    0.0413406959554093,
    0.02767792568499834,
    0.020790672103765093,
    0.016644691189821193,
    0.013876128823070748,
    0.01189670994589177,
    0.010411265261972096,
    0.009255462182712733,
    0.00833056343336287,
    0.007573675487951841,
    0.00694284010720953,
    0.006408994188004207,
    0.0059513701127588475,
    0.005554733551962801,
)


def hoeffding_tail(n: ArrayLike, t: ArrayLike) -> Array:
    r"""Hoeffding's bound :math:`e^{-2 n t^2}` on P(mean - expectation >= t), for terms in [0, 1].

    Parameters
    ----------
    n : array_like of int
        Numbers of terms >= 1.
    t : array_like
        Deviations >= 0, in units of the terms' range.

    Returns
    -------
    ndarray or float

    Raises
    ------
    ValueError
        If an argument is out of range.

    References
    ----------
    Hoeffding (1963), theorem 1.

    Examples
    --------
    >>> round(float(hoeffding_tail(50, 0.2)), 12)
    0.018315638889
    """
    n, t = counts("n", n, minimum=1), validation.nonnegative("t", t)
    return np.exp(-2 * n * t**2)[()]


def bernstein_tail(n: ArrayLike, t: ArrayLike, *, variance: ArrayLike, bound: ArrayLike = 1.0) -> Array:
    r"""Bernstein's bound on P(mean - expectation >= t), for independent terms that exceed their means by b at most.

    .. math:: \exp\Bigl(-\frac{n t^2}{2 (v + b t / 3)}\Bigr)

    Parameters
    ----------
    n : array_like of int
        Numbers of terms >= 1.
    t : array_like
        Deviations >= 0.
    variance : array_like
        v >= 0, the mean variance of a term.
    bound : array_like
        b > 0; for coins, 1 - p is the smallest that is valid.

    Returns
    -------
    ndarray or float

    Raises
    ------
    ValueError
        If an argument is out of range.

    Examples
    --------
    >>> round(float(bernstein_tail(50, 0.2, variance=0.21)), 12)
    0.026931522688
    """
    n, t, v, b = _moments(n, t, variance, bound)
    with np.errstate(invalid="ignore"):
        return np.where(t == 0, 1.0, np.exp(-n * t * (t / (2 * (v + b * t / 3)))))[()]


def bennett_tail(n: ArrayLike, t: ArrayLike, *, variance: ArrayLike, bound: ArrayLike = 1.0) -> Array:
    r"""Bennett's bound on P(mean - expectation >= t), for independent terms that exceed their means by b at most.

    .. math:: \exp\Bigl(-\frac{n v}{b^2} H\Bigl(\frac{b t}{v}\Bigr)\Bigr), \qquad H(u) = (1 + u) \ln(1 + u) - u

    Never above Bernstein's.

    Parameters
    ----------
    n : array_like of int
        Numbers of terms >= 1.
    t : array_like
        Deviations >= 0.
    variance : array_like
        v >= 0, the mean variance of a term; the bound is 0 at v = 0 < t.
    bound : array_like
        b > 0; for coins, 1 - p is the smallest that is valid.

    Returns
    -------
    ndarray or float

    Raises
    ------
    ValueError
        If an argument is out of range.

    References
    ----------
    Bennett (1962).

    Examples
    --------
    >>> round(float(bennett_tail(50, 0.2, variance=0.21)), 12)
    0.024342843013
    """
    n, t, v, b = _moments(n, t, variance, bound)
    return np.exp(-n * deviance(v + b * t, v, b * t) / b**2)[()]


def chernoff_tail(n: ArrayLike, p: ArrayLike, t: ArrayLike) -> Array:
    r"""Chernoff's bound :math:`e^{-n\,\mathrm{kl}(p + t \| p)}` on P(mean >= p + t), for terms in [0, 1] of mean p.

    Attained by coins at t = 1 - p; zero beyond.

    Parameters
    ----------
    n : array_like of int
        Numbers of terms >= 1.
    p : array_like
        Means in [0, 1].
    t : array_like
        Deviations >= 0.

    Returns
    -------
    ndarray or float

    Raises
    ------
    ValueError
        If an argument is out of range.

    References
    ----------
    Hoeffding (1963), theorem 1.

    Examples
    --------
    >>> round(float(chernoff_tail(50, 0.3, 0.2)), 12)
    0.012793287258
    """
    n = counts("n", n, minimum=1)
    p, t = validation.interval("p", p, 0, 1), validation.nonnegative("t", t)
    n, p, t = np.broadcast_arrays(n, p, t)
    q = p + t
    beyond = q > 1 + _WHOLE
    rate = bernoulli_divergence(np.minimum(q, 1.0), p, np.minimum(t, 1 - p))
    return np.where(beyond, 0.0, np.exp(-n * rate))[()]


def bahadur_rao_tail(n: ArrayLike, p: ArrayLike, t: ArrayLike) -> Array:
    r"""Sharp asymptotics of P(mean of n coins >= p + t), for n (p + t) whole; relative error O(1/n).

    .. math:: \frac{e^{-n\,\mathrm{kl}(q \| p)}}{(1 - e^{-\lambda}) \sqrt{2 \pi n q (1 - q)}}, \qquad q = p + t,
              \quad \lambda = \ln\frac{q (1 - p)}{p (1 - q)}, \quad 1 - e^{-\lambda} = \frac{t}{q (1 - p)}

    Coins live on a lattice, hence 1 - exp(-lambda) and not lambda.

    Parameters
    ----------
    n : array_like of int
        Numbers of coins >= 1.
    p : array_like
        Probabilities in (0, 1).
    t : array_like
        Deviations > 0 with p + t < 1.

    Returns
    -------
    ndarray or float

    Raises
    ------
    ValueError
        If an argument is out of range.

    References
    ----------
    Bahadur and Ranga Rao (1960).

    Examples
    --------
    >>> round(float(bahadur_rao_tail(50, 0.3, 0.2)), 12)
    0.002526243794
    """
    n = counts("n", n, minimum=1)
    p, t = validation.interval("p", p, 0, 1, closed=False), validation.positive("t", t)
    q = validation.interval("p + t", p + t, 0, 1, closed=False)
    decay = np.exp(-n * bernoulli_divergence(q, p, t))
    return (decay * q * (1 - p) / (t * np.sqrt(2 * np.pi * n * q * (1 - q))))[()]


def _moments(n: ArrayLike, t: ArrayLike, variance: ArrayLike, bound: ArrayLike) -> tuple[Array, Array, Array, Array]:
    arrays = np.broadcast_arrays(
        counts("n", n, minimum=1).astype(float),
        validation.nonnegative("t", t),
        validation.nonnegative("variance", variance),
        validation.positive("bound", bound),
    )
    return arrays[0], arrays[1], arrays[2], arrays[3]
