r"""Spectra of sample covariances of correlated features, by the equation of Silverstein.

Let the p features of n samples have a population covariance with eigenvalues :math:`s_j` in proportions :math:`w_j`,
and :math:`p/n = g`. The n x n Gram matrix :math:`X X^\top / n` has the Stieltjes transform v, called companion, with

.. math:: z = -\frac1v + g \sum_j \frac{w_j s_j}{1 + s_j v}, \qquad v(z) = g\, m(z) - \frac{1 - g}{z},

m being that of the p x p covariance. In terms of y = -1/v the right side is :math:`\psi(y) = y + g \sum_j \frac{w_j
s_j y}{y - s_j}`, which maps a part of the upper half plane one to one onto all of it: exactly one root is right.
"""

from collections.abc import Callable

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray

from theory.kernel_regression.marchenko_pastur import ComplexArray, complex_numbers
from theory.validation import finite, nonnegative, positive_scalar, same_shape

Array = NDArray[np.float64]

_RESIDUAL = 1e-12
_MAX_STEPS = 300
_SUM = 1e-9  # how far weights may be from adding up to one


def companion_stieltjes(z: ArrayLike, eigenvalues: ArrayLike, weights: ArrayLike, *, ratio: float) -> ComplexArray:
    r"""Stieltjes transform v of the spectrum of the Gram matrix :math:`X X^\top / n`.

    Newton's method in y = -1/v follows the straight line from a point high above the axis, where y is close to it, to
    z, in steps short enough that no other root can catch it. The root is checked: it must solve the equation to 1e-12,
    relative to its largest term, and lie above the axis or, outside of the spectrum, on it with
    :math:`\psi'(y) > 0`; no other root does.

    Parameters
    ----------
    z : array_like
        Complex numbers of either sign of the imaginary part; on the real axis the limit from above is given.
    eigenvalues : array_like, shape (M,)
        s_j >= 0 of the population covariance, one positive at least.
    weights : array_like, shape (M,)
        w_j >= 0, which add up to one.
    ratio : float
        g = p/n > 0, features over samples.

    Returns
    -------
    ndarray of complex
        Of the shape of z. Costs O(M) for each of some ten steps a point.

    Raises
    ------
    ValueError
        If an argument is out of range, or z is zero and v has a pole there: without more positive eigenvalues than
        samples.
    RuntimeError
        If a root was not found to 1e-12.

    References
    ----------
    Silverstein (1995); Silverstein and Choi (1995).

    Examples
    --------
    >>> complex(companion_stieltjes(-1.0, [1.0, 4.0], [0.5, 0.5], ratio=0.5).round(6))
    (0.71113+0j)
    """
    s, w, g = _population(eigenvalues, weights, ratio)
    points = complex_numbers("z", z)
    if np.any(points == 0) and g * w.sum() <= 1:
        raise ValueError("z must not be 0 where ratio times the weight of positive eigenvalues is at most 1; got 0")
    unit = s[-1]
    flat = points.ravel() / unit
    mirrored = flat.imag < 0
    y, residual = _roots(np.where(mirrored, flat.conj(), flat), s / unit, g * w)
    if not np.all(residual <= _RESIDUAL):
        worst = int(np.argmax(np.where(np.isnan(residual), np.inf, residual)))
        raise RuntimeError(f"no root to {_RESIDUAL:.0e} at z = {points.ravel()[worst]}: {residual[worst]:.1e} only")
    v = -1 / (unit * y) + 0j  # not to show a negative zero
    return np.where(mirrored, v.conj(), v).reshape(points.shape)[()]


def spectral_density(x: ArrayLike, eigenvalues: ArrayLike, weights: ArrayLike, *, ratio: float) -> Array:
    r"""Density of the eigenvalues of the sample covariance other than zero, per feature.

    .. math:: \rho(x) = \frac{\mathrm{Im}\, v(x + i 0)}{\pi g}

    Its integral is the smaller of 1/g and the weight of positive eigenvalues. Zero for x <= 0.

    Parameters
    ----------
    x : array_like
        Real numbers.
    eigenvalues, weights, ratio
        As for `companion_stieltjes`.

    Returns
    -------
    ndarray
        Of the shape of x. Costs as much as `companion_stieltjes`.

    Raises
    ------
    ValueError, RuntimeError
        As for `companion_stieltjes`.

    References
    ----------
    Silverstein and Choi (1995).

    Examples
    --------
    >>> spectral_density([1.0, 2.0, 4.0], [1.0, 4.0], [0.5, 0.5], ratio=0.1).round(4)
    array([0.6955, 0.    , 0.1794])
    """
    points = finite("x", x)
    positive = points > 0
    v = companion_stieltjes(np.where(positive, points, 1.0), eigenvalues, weights, ratio=ratio)
    return np.where(positive, np.imag(v) / (np.pi * ratio), 0.0)[()]


def spectral_edges(eigenvalues: ArrayLike, weights: ArrayLike, *, ratio: float) -> Array:
    r"""Return the ends of the bands of the continuous spectrum, rising: low and high end of each band in turn.

    They are :math:`\psi(y)` at the points where :math:`g \sum_j w_j s_j^2 / (y - s_j)^2 = 1`. The left side is convex
    between two eigenvalues, where it has two such points or none, a gap or none; there is one more on either side.

    Parameters
    ----------
    eigenvalues, weights, ratio
        As for `companion_stieltjes`.

    Returns
    -------
    ndarray, shape (2 bands,)
        To a few roundings, small edges included. Costs O(M) for each of some hundred bisections a gap.

    Raises
    ------
    ValueError
        If an argument is out of range.

    References
    ----------
    Silverstein and Choi (1995).

    Examples
    --------
    >>> spectral_edges([1.0, 4.0], [0.5, 0.5], ratio=0.1).round(5)
    array([0.55496, 1.40843, 2.48492, 6.05169])
    """
    s, w, g = _population(eigenvalues, weights, ratio)
    mass = g * w * s**2

    def above_one(y: float) -> bool:
        return bool(np.sum(mass / (y - s) ** 2) > 1)

    def falling(y: float) -> bool:
        return bool(np.sum(mass / (y - s) ** 3) > 0)

    least, most = s[0], s[-1]
    lowest = min(0.0, most * (1 - np.sqrt(g)) * (1 + 1e-9))
    ends = [_bisect(lambda y: not above_one(y), lowest, least)]
    # two poles alone keep the sum above this, so that few gaps have to be looked at
    floor = (np.cbrt(mass[:-1]) + np.cbrt(mass[1:])) ** 3 / np.diff(s) ** 2
    for j in np.flatnonzero(floor < 1):
        left, right = float(s[j]), float(s[j + 1])
        bottom = _bisect(falling, left, right)
        if left < bottom < right and not above_one(bottom):
            ends += [_bisect(above_one, left, bottom), _bisect(lambda y: not above_one(y), bottom, right)]
    ends.append(_bisect(above_one, most, most * (1 + np.sqrt(g)) * (1 + 1e-9)))
    # psi(y), with what vanishes there taken off, so that all terms are positive
    return np.array([g * y**2 * np.sum(w * s / (y - s) ** 2) for y in ends])


def _population(eigenvalues: ArrayLike, weights: ArrayLike, ratio: float) -> tuple[Array, Array, float]:
    """Return the distinct positive eigenvalues in rising order, their weights, and the ratio."""
    values = nonnegative("eigenvalues", eigenvalues, ndim=1)
    shares = same_shape("weights", nonnegative("weights", weights, ndim=1), "eigenvalues", values)
    if not abs(shares.sum() - 1) <= _SUM:
        raise ValueError(f"weights must add up to 1; got {shares.sum():.12g}")
    distinct, place = np.unique(values, return_inverse=True)
    total = np.bincount(place, weights=shares).astype(float)
    kept = (distinct > 0) & (total > 0)
    if not kept.any():
        raise ValueError("eigenvalues must include a positive one of positive weight")
    return distinct[kept], total[kept], positive_scalar("ratio", ratio)


def _bisect(still: Callable[[float], bool], low: float, high: float) -> float:
    """Find where ``still`` turns false between two points, to rounding."""
    for _ in range(200):
        middle = 0.5 * (low + high)
        if not low < middle < high:
            break
        low, high = (middle, high) if still(middle) else (low, middle)
    return 0.5 * (low + high)


@njit(cache=True, nogil=True, error_model="numpy")
def _map(y, s, mass):
    """Evaluate psi, its derivative, and the size of its largest terms; ``mass`` is g w."""
    value, slope, size = y + 0j, 1.0 + 0.0j, abs(y)
    for j in range(s.size):
        gap = y - s[j]
        if gap == 0:  # a real number may hit a pole
            return value, 0j, np.inf
        pole = s[j] / gap
        value += mass[j] * y * pole
        slope -= mass[j] * pole * pole
        size += mass[j] * abs(y * pole)
    return value, slope, size


@njit(cache=True, nogil=True, error_model="numpy")
def _roots(points, s, mass):
    roots, residuals = np.empty_like(points), np.empty(points.size)
    height = 4 * (1 + np.sqrt(np.sum(mass))) ** 2
    for j in range(points.size):
        roots[j], residuals[j] = _root(points[j], s, mass, height)
    return roots, residuals


@njit(cache=True, nogil=True, error_model="numpy")
def _root(z, s, mass, height):
    y = z + 1j * height
    value, slope, size = _map(y, s, mass)
    share = 1.0
    for _ in range(_MAX_STEPS):
        off = value - z
        if abs(off) <= 2e-16 * size or slope == 0:
            break
        step = off / slope
        new = y - share * step
        # keep above the axis, and approach it by a factor a step at most
        new = complex(new.real, max(new.imag, 0.05 * y.imag))
        value_, slope_, size_ = _map(new, s, mass)
        if abs(value_ - z - (1 - share) * off) > 0.5 * share * abs(off):
            if share < 1e-6 or abs(off) <= 1e-14 * size:
                break
            share *= 0.5
            continue
        y, value, slope, size = new, value_, slope_, size_
        share = min(1.0, 2 * share)
    if z.imag == 0:
        real = complex(y.real, 0.0)
        for _ in range(3):
            value_, slope_, size_ = _map(real, s, mass)
            if slope_ != 0:
                real = real - (value_ - z) / slope_
        value_, slope_, size_ = _map(real, s, mass)
        residual = abs(value_ - z) / (size_ + abs(z))
        if residual <= _RESIDUAL and slope_.real > 0 and abs(real - y) <= 1e-5 * abs(y):
            return real, residual
    if not y.imag > 0:
        return y, np.nan
    return y, abs(value - z) / (size + abs(z))
