"""Coins tossed in every possible way: exact laws of their sums, and divergences straight from the definition."""

from math import log

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]

_GOLDEN = (5**0.5 - 1) / 2


def coin_sum_tail(n: ArrayLike, p: ArrayLike, k: ArrayLike) -> Array:
    """Probability of k or more heads among n coins, one value an instance.

    Coins are added one at a time to the law of their sum, so that only sums and products of nonnegative numbers occur.
    Costs O(n^2) an instance.
    """
    sizes, bias, least = np.broadcast_arrays(n, p, k)
    return _tails(sizes.ravel().astype(np.int64), bias.ravel().astype(float), least.ravel().astype(np.int64))


def mean_exponential_divergence(n: ArrayLike, p: ArrayLike) -> Array:
    """Mean of exp(n kl(heads / n || p)) over the law of the number of heads, one value an instance; O(n^2) each."""
    sizes, bias = np.broadcast_arrays(n, p)
    return _mean_exponentials(sizes.ravel().astype(np.int64), bias.ravel().astype(float))


def enumerate_exponential_divergence(n: int, p: float) -> float:
    """Mean of exp(n kl(heads / n || p)) over all 2^n sequences, each with its own probability."""
    return _enumerate_sequences(n, p)


def enumerate_coin_tail(n: int, p: float, k: int) -> float:
    """Probability of k or more heads, over all 2^n sequences."""
    return _enumerate_tail(n, p, k)


def largest_bias(q: ArrayLike, c: ArrayLike) -> Array:
    """Largest p with kl(q || p) <= c, by bisection of the definition; good to about 1e-15 / (p - q)."""
    q, c = np.broadcast_arrays(np.asarray(q, dtype=float), np.asarray(c, dtype=float))
    return _bisect(q.ravel(), c.ravel()).reshape(q.shape)


def smallest_catoni(q: ArrayLike, c: ArrayLike) -> Array:
    """Minimum over C of (1 - exp(-C q - c)) / (1 - exp(-C)), by golden section of log C."""
    q, c = np.broadcast_arrays(np.asarray(q, dtype=float), np.asarray(c, dtype=float))
    return _golden_catoni(q.ravel(), c.ravel()).reshape(q.shape)


def smallest_cumulant(p: Array, t: Array) -> Array:
    """Minimum over the tilt of the log moment generating function of a coin's excess over p + t, by bisection.

    The slope, tilted mean less p + t, is increasing.
    """
    q = p + t
    low, high = np.zeros_like(p), np.full_like(p, 80.0)
    for _ in range(100):
        tilt = (low + high) / 2
        mean = 1 / (1 + (1 - p) / p * np.exp(-tilt))
        low, high = np.where(mean < q, tilt, low), np.where(mean < q, high, tilt)
    return np.log1p(p * np.expm1(low)) - low * q


@njit(cache=True)
def _law_of_sum(n, p):
    law = np.zeros(n + 1)
    law[0] = 1.0
    for coin in range(n):
        for heads in range(coin + 1, 0, -1):
            law[heads] = law[heads] * (1.0 - p) + law[heads - 1] * p
        law[0] *= 1.0 - p
    return law


@njit(cache=True)
def _tails(n, p, k):
    out = np.empty(n.size)
    for i in range(n.size):
        out[i] = _law_of_sum(n[i], p[i])[max(k[i], 0) :].sum()
    return out


@njit(cache=True)
def _kl(q, p):
    found = 0.0
    if q > 0.0:
        found += q * log(q / p)
    if q < 1.0:
        found += (1.0 - q) * log((1.0 - q) / (1.0 - p))
    return found


@njit(cache=True)
def _mean_exponentials(n, p):
    out = np.empty(n.size)
    for i in range(n.size):
        law = _law_of_sum(n[i], p[i])
        total = 0.0
        for k in range(n[i] + 1):
            total += law[k] * np.exp(n[i] * _kl(k / n[i], p[i]))
        out[i] = total
    return out


@njit(cache=True)
def _enumerate_sequences(n, p):
    total = 0.0
    for bits in range(1 << n):
        probability, heads = 1.0, 0
        for toss in range(n):
            if (bits >> toss) & 1:
                probability *= p
                heads += 1
            else:
                probability *= 1.0 - p
        total += probability * np.exp(n * _kl(heads / n, p))
    return total


@njit(cache=True)
def _enumerate_tail(n, p, k):
    total = 0.0
    for bits in range(1 << n):
        probability, heads = 1.0, 0
        for toss in range(n):
            if (bits >> toss) & 1:
                probability *= p
                heads += 1
            else:
                probability *= 1.0 - p
        if heads >= k:
            total += probability
    return total


@njit(cache=True)
def _bisect(q, c):
    out = np.empty(q.size)
    for i in range(q.size):
        low, high = q[i], 1.0
        for _ in range(200):
            middle = 0.5 * (low + high)
            if middle <= low or middle >= high:
                break
            if _kl(q[i], middle) <= c[i]:
                low = middle
            else:
                high = middle
        out[i] = low
    return out


@njit(cache=True)
def _catoni(log_c, q, c):
    C = np.exp(log_c)
    return np.expm1(-C * q - c) / np.expm1(-C)


@njit(cache=True)
def _golden_catoni(q, c):
    out = np.empty(q.size)
    for i in range(q.size):
        low, high = np.log(1e-6), np.log(700.0)
        a, b = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
        fa, fb = _catoni(a, q[i], c[i]), _catoni(b, q[i], c[i])
        for _ in range(90):
            if fa < fb:
                high, b, fb = b, a, fa
                a = high - _GOLDEN * (high - low)
                fa = _catoni(a, q[i], c[i])
            else:
                low, a, fa = a, b, fb
                b = low + _GOLDEN * (high - low)
                fb = _catoni(b, q[i], c[i])
        out[i] = min(fa, fb)
    return out
