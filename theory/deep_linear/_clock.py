"""The universal clock of a balanced deep mode: time against strength, and back, in dimensionless variables.

With x = u / (fixed point) every balanced mode of depth D >= 3 obeys dx/dT = x^(1+p) (1-x), p = 1 - 2/D. In the logit
v = ln(x/(1-x)) this is dT/dv = x^-p, so that one increasing, concave function A(v) tells the time of all of them.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit, poch

Array = NDArray[np.float64]

_TERMS = 54  # both series run in a variable of at most 1/2
_NEAR = 2.0  # logit distance below which quadrature beats the difference of two antiderivatives
_SATURATED = 38.0  # expit(38) rounds to 1
_SPACING = 1 / 32
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(12)


def reading(x: ArrayLike, remainder: ArrayLike, depth: float) -> Array:
    r"""Antiderivative A of x^{-1-p}/(1-x), accurate for every x in (0, 1); ``remainder`` is 1 - x.

    Below x = 1/2 the geometric series is integrated term by term; its term of power 1-p = 2/D enters through expm1,
    which keeps the digits that D -> infinity would cancel. Above, what is left after the logarithm is a series in 1-x.
    """
    x, y = np.broadcast_arrays(np.asarray(x, dtype=float), np.asarray(remainder, dtype=float))
    p = 1 - 2 / depth
    out = np.empty(x.shape)
    low = x <= 0.5
    out[low] = _lower(x[low], p)
    middle = _lower(np.asarray(0.5), p) + _upper_series(np.asarray(0.5), p)
    x, y = x[~low], y[~low]
    out[~low] = np.log(x / y) - _upper_series(y, p) + middle
    return out


def elapsed(low: Array, high: Array, s: Array, depth: float) -> Array:
    """Dimensionless time from strength ``low`` to ``high``, 0 < low <= high < s, to full relative accuracy."""
    low, high, s = np.broadcast_arrays(low, high, s)
    distance = logit_distance(low, high, s)
    if depth == 2:
        return distance
    if depth == np.inf:
        return distance + (high - low) / low * (s / high)
    out = np.empty(low.shape)
    near = distance <= _NEAR
    far = ~near
    lo, hi, top = low[far], high[far], s[far]
    out[far] = reading(hi / top, (top - hi) / top, depth) - reading(lo / top, (top - lo) / top, depth)

    lo, top, dv = low[near], s[near], distance[near]
    z = (top - lo) / lo
    power = 1 - 2 / depth
    total = np.zeros(lo.shape)
    for node, weight in zip(_NODES, _WEIGHTS, strict=True):
        total += 0.5 * weight * (1 + z * np.exp(-0.5 * (1 + node) * dv)) ** power
    out[near] = dv * total
    return out


def logit_distance(low: Array, high: Array, s: Array) -> Array:
    """ln[high (s-low) / (low (s-high))] for 0 < low <= high < s; both logarithms are nonnegative, none cancels."""
    return np.log1p((high - low) / low) + np.log1p((high - low) / (s - high))


def strength_at(target: Array, depth: int) -> Array:
    """Invert :func:`reading`: the x in [0, 1] at which the clock shows ``target``.

    A cubic table of the inverse starts Newton's method in the logit. A is increasing and concave there, so that from
    the first step on every iterate lies on the left of the root and climbs towards it: no step has to be safeguarded.
    """
    p = 1 - 2 / depth
    flat = target.ravel()
    bottom, top = reading([1e-300, expit(_SATURATED)], [1.0, expit(-_SATURATED)], depth)
    x = np.ones(flat.shape)
    tiny = flat < bottom
    x[tiny] = (-p * np.maximum(flat[tiny], -1e300)) ** (-1 / p)

    inside = ~tiny & (flat < top)
    if inside.any():
        goal = flat[inside]
        # for x <= 1/2 the clock is below 1 - x^-p / p, which bounds the smallest logit from below
        start = -np.log(max(p * (1 - float(goal.min())), 2.0)) / p
        v_table = np.linspace(start, _SATURATED, 2 + int((_SATURATED - start) / _SPACING))
        x_table = expit(v_table)
        v = _inverse_table(goal, reading(x_table, expit(-v_table), depth), v_table, x_table**p)
        for _ in range(20):
            now, rest = expit(v), expit(-v)
            step = (goal - reading(now, rest, depth)) * now**p
            v += step
            if np.abs(step).max() < 1e-8:
                break
        # the last step is taken in x, where a large negative logit has not rounded it
        x[inside] = now * (1 + rest * step)
    return x.reshape(target.shape)


def _inverse_table(goal: Array, table: Array, values: Array, slopes: Array) -> Array:
    """Cubic Hermite interpolation in units of each cell, since the widths of the cells span hundreds of decades."""
    j = np.clip(np.searchsorted(table, goal) - 1, 0, table.size - 2)
    width = table[j + 1] - table[j]
    c = (goal - table[j]) / width
    bend = (1 - c) * slopes[j] * width - c * slopes[j + 1] * width
    return values[j] + c**2 * (3 - 2 * c) * (values[j + 1] - values[j]) + c * (1 - c) * bend


def _lower(x: Array, p: float) -> Array:
    log_x = np.log(x)
    series = np.zeros(x.shape)
    for k in range(_TERMS, 0, -1):
        series = (series + 1 / (k + 1 - p)) * x
    return np.expm1((1 - p) * log_x) / (1 - p) - x**-p / p + x ** (1 - p) * series


def _upper_series(y: Array, p: float) -> Array:
    k = np.arange(1, _TERMS + 1)
    coefficients = (poch(1 + p, k) / poch(1, k) - 1) / k
    series = np.zeros(y.shape)
    for coefficient in coefficients[::-1]:
        series = (series + coefficient) * y
    return series
