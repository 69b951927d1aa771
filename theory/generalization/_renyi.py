r"""Rényi entropies, and Rényi divergences of a coin from a fair one, without cancellation at any order in (0, inf]."""

import numpy as np
from numpy.typing import NDArray
from scipy.special import exprel

Array = NDArray[np.float64]

_TERMS = 30  # of a series whose ratios stay below 1/4
_DIRECT_BELOW = 0.5  # share of probability that powers take away


def log1p_ratio(x: Array) -> Array:
    """Return ln(1 + x) / x, and 1 at 0."""
    small = np.abs(x) < 1e-300
    return np.where(small, 1.0, np.log1p(x) / np.where(small, 1.0, x))


def renyi_entropy(p: Array, order: Array) -> Array:
    r"""Return :math:`H_a(p) = \frac{1}{1 - a} \ln \sum_y p_y^a` over the last axis, for orders a in (0, inf].

    Near a = 1 the sum differs from 1 by little. There it is that of p_y (p_y^(a - 1) - 1), whose terms have one sign;
    elsewhere the largest probability is taken out.
    """
    a = np.asarray(order, dtype=float)
    finite = np.where(np.isfinite(a), a, 2.0)
    excess = finite - 1
    largest = _log_largest(p)
    likeliest = (p == p.max(axis=-1, keepdims=True)) & (p > 0.5)
    logs = np.where(likeliest, largest[..., None], np.log(np.where(p > 0, p, 1.0)))
    taken = -(p * logs * exprel(excess[..., None] * logs)).sum(axis=-1)
    near = taken * log1p_ratio(np.maximum(-excess * taken, -_DIRECT_BELOW))
    total = np.exp(np.where(p > 0, finite[..., None] * (logs - largest[..., None]), -np.inf)).sum(axis=-1)
    apart = np.where(excess == 0, 1.0, excess)
    far = -(finite * largest + np.log(np.maximum(total, 1.0))) / apart
    found = np.where(excess * taken <= _DIRECT_BELOW, near, far)
    return np.where(np.isfinite(a), found, -largest) + 0.0


def _log_largest(p: Array) -> Array:
    """Return the logarithm of the largest probability, also where all others together are tiny."""
    top = p.max(axis=-1)
    rest = np.sort(p, axis=-1)[..., :-1].sum(axis=-1)
    return np.where(top > 0.5, np.log1p(-np.minimum(rest, 0.5)), np.log(top))


def coin_divergence(bias: Array, order: Array) -> Array:
    r"""Return :math:`D_a = \frac{1}{a - 1} \ln \frac{(1 + b)^a + (1 - b)^a}{2}`, for a bias b in [0, 1].

    The divergence of a coin with probabilities (1 +- b) / 2 from a fair one, about a b^2 / 2 for small biases, where a
    series in b^2 replaces the difference of near equals; ln(1 + b) at infinite order.
    """
    b, a = np.broadcast_arrays(bias, order)
    finite = np.where(np.isfinite(a), a, 2.0)
    excess = finite - 1
    up = np.log1p(b)
    down = np.where(b < 1, np.log1p(-np.where(b < 1, b, 0.0)), 0.0)
    direct = ((1 + b) * up * exprel(np.minimum(excess * up, 1.0)) + (1 - b) * down * exprel(excess * down)) / 2
    gain = np.where(b * np.maximum(finite, 1.0) < 0.5, _series(b, finite), direct)
    moderate = gain * log1p_ratio(np.where(excess * up <= 1, excess * gain, 0.0))
    apart = np.where(excess == 0, 1.0, excess)
    large = (finite * up - np.log(2) + np.log1p(((1 - b) / (1 + b)) ** finite)) / apart
    return np.where(np.isfinite(a), np.where(excess * up <= 1, moderate, large), up)


def _series(b: Array, a: Array) -> Array:
    """Return (M - 1) / (a - 1) for the mean M of (1 +- b)^a by its even binomial terms."""
    square = np.where(b * np.maximum(a, 1.0) < 0.5, b, 0.0) ** 2
    term = a * square / 2
    total = term.copy()
    for j in range(2, 2 * _TERMS, 2):
        term = term * ((a - j) * (a - j - 1) / ((j + 1) * (j + 2)) * square)
        total += term
    return total
