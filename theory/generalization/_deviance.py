r"""Terms of Kullback-Leibler divergences without cancellation, where the two arguments are close or far apart."""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

_SERIES_BELOW = 0.1  # of |v|; eleven terms of ratio v^2 leave 1e-24
_TERMS = 11


def deviance(x: Array, y: Array, difference: Array) -> Array:
    r"""Return :math:`x \ln(x / y) - (x - y) \ge 0`, given the difference x - y to full relative accuracy.

    With :math:`v = (x - y) / (x + y)` the logarithm is :math:`2 \operatorname{artanh} v`, and

    .. math:: x \ln\frac{x}{y} - (x - y) = (x - y) v + 2 x v \Bigl(\frac{v^2}{3} + \frac{v^4}{5} + \dots\Bigr) .

    Sums of such terms replace divergences: their parts are nonnegative, and those linear in x - y cancel beforehand.
    Relative error: a few roundings, plus those of x, y and ``difference``. Infinite where y = 0 < x.
    """
    x, y, difference = np.broadcast_arrays(x, y, difference)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        v = difference / (x + y)
        square = v * v
        tail = np.zeros_like(v)
        for j in range(_TERMS, 0, -1):
            tail = square * (1 / (2 * j + 1) + tail)
        near = difference * v + 2 * x * v * tail
        ratio = x / y
        logarithm = np.where((ratio > 0) & np.isfinite(ratio), np.log(ratio), np.log(x) - np.log(y))
        far = np.where(x > 0, x * logarithm, 0.0) - difference
        return np.where(difference == 0, 0.0, np.where(np.abs(v) < _SERIES_BELOW, near, far))


def split_product(a: Array, b: Array) -> tuple[Array, Array]:
    """Return the rounded product a b and its rounding error, exactly (Dekker); needs magnitudes below 1e290."""
    product = a * b
    a1, a2 = _halves(a)
    b1, b2 = _halves(b)
    return product, a2 * b2 - (((product - a1 * b1) - a2 * b1) - a1 * b2)


def _halves(a: Array) -> tuple[Array, Array]:
    scaled = 134217729.0 * a  # 2^27 + 1
    high = scaled - (scaled - a)
    return high, a - high


def bernoulli_divergence(q: Array, p: Array, difference: Array) -> Array:
    """Return kl(q || p) given q - p to full relative accuracy."""
    return deviance(q, p, difference) + deviance(1 - q, 1 - p, -difference)
