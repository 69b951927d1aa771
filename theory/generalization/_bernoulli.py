"""The divergence between two coins, and the largest bias that a divergence allows."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from theory import validation
from theory.generalization._deviance import bernoulli_divergence

Array = NDArray[np.float64]

_MAX_STEPS = 100
_ROUNDING = float(np.finfo(float).eps)
_BELOW_ONE = 1 - _ROUNDING / 2


def bernoulli_kl(q: ArrayLike, p: ArrayLike) -> Array:
    r"""Divergence between Bernoulli laws, in nats.

    .. math:: \mathrm{kl}(q \| p) = q \ln\frac{q}{p} + (1 - q) \ln\frac{1 - q}{1 - p}

    Both terms are computed without their linear part, which cancels, so that the relative error is a few roundings
    (times the logarithm of q/p where it is large), also for q near p and for the smallest probabilities.

    Parameters
    ----------
    q, p : array_like
        Probabilities in [0, 1], broadcast against each other.

    Returns
    -------
    ndarray or float
        Infinite where p is 0 or 1 and q is not p.

    Raises
    ------
    ValueError
        If a probability is outside [0, 1].

    Examples
    --------
    >>> round(float(bernoulli_kl(0.5, 0.3)), 12)
    0.087176693572
    """
    q, p = np.broadcast_arrays(validation.interval("q", q, 0, 1), validation.interval("p", p, 0, 1))
    return bernoulli_divergence(q, p, q - p)[()]


def kl_inverse(q: ArrayLike, c: ArrayLike) -> Array:
    r"""Largest p with kl(q || p) at most c.

    .. math:: \mathrm{kl}^{-1}_+(q, c) = \sup\{p \in [q, 1] : \mathrm{kl}(q \| p) \le c\},
              \qquad \mathrm{kl}^{-1}_+(0, c) = 1 - e^{-c}

    Newton's method from an upper bound; the divergence is convex in p, so that iterates fall monotonically. It starts
    at most a few times too high, and p has a relative error of a few roundings.

    Parameters
    ----------
    q : array_like
        Probabilities in [0, 1].
    c : array_like
        Divergences >= 0 in nats, possibly infinite; broadcast against q.

    Returns
    -------
    ndarray or float
        In [q, 1].

    Raises
    ------
    ValueError
        If an argument is out of range or NaN.

    References
    ----------
    Seeger (2002); Langford (2005).

    Examples
    --------
    >>> round(float(kl_inverse(0.1, 0.05)), 12)
    0.220078601107
    """
    q = validation.interval("q", q, 0, 1)
    infinite = np.isposinf(np.asarray(c, dtype=float))
    c = validation.nonnegative("c", np.where(infinite, 0.0, c))
    q, c, infinite = np.broadcast_arrays(q, c, infinite)
    p = _newton(q.ravel(), c.ravel()).reshape(q.shape)
    p = np.where(q == 0, -np.expm1(-c), np.where(c == 0, q, p))
    return np.where(infinite, 1.0, p)[()]


def _newton(q: Array, c: Array) -> Array:
    p = _upper_start(q, c)
    for _ in range(_MAX_STEPS):
        rise = p - q
        open_ = (rise > 0) & (p < 1)
        safe = np.where(open_, rise, 1.0)
        slope = safe / (np.where(open_, p, 0.5) * (1 - np.where(open_, p, 0.5)))
        excess = bernoulli_divergence(q, p, -rise) - c
        step = np.where(open_, np.where(open_, excess, 0.0) / slope, 0.0)
        new = np.clip(p - step, q, p)
        settled = p - new <= 2 * np.spacing(p)
        p = new
        if settled.all():
            break
    return p


def _upper_start(q: Array, c: Array) -> Array:
    """Return the least of three upper bounds, for small p, for any p and for p near 1, and a float below one."""
    small = q + c + np.sqrt(c) * np.sqrt(c + 2 * q)  # kl >= (p - q)^2 / (2 p)
    pinsker = q + np.sqrt(c / 2)
    inner = np.clip(q, np.finfo(float).tiny, _BELOW_ONE)
    high = -np.expm1(np.log1p(-inner) - (c - inner * np.log(inner)) / (1 - inner))
    lowest = np.minimum(np.minimum(small, pinsker), high) * (1 + 4 * _ROUNDING)
    return np.maximum(np.minimum(lowest, _BELOW_ONE), q)
