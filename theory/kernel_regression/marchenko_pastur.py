r"""The Marchenko-Pastur law: the spectrum of the covariance of many samples of as many uncorrelated features.

Data X of n samples and p features, independent entries of variance s, have the sample covariance
:math:`X^\top X / n`. As both grow at :math:`p/n = g` its eigenvalues follow one law. The Stieltjes transform is

.. math:: m(z) = \int \frac{d\mu(x)}{x - z},

which is positive for z below the spectrum, and minus the Cauchy transform of free probability.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from theory.validation import finite, positive

Array = NDArray[np.float64]
ComplexArray = NDArray[np.complex128]


class Support(NamedTuple):
    """Ends of the continuous part of a spectrum."""

    low: Array
    high: Array


def mp_support(*, ratio: ArrayLike, variance: ArrayLike = 1.0) -> Support:
    r"""Return the ends of the continuous spectrum, :math:`s (1 \mp \sqrt g)^2`.

    With more features than samples, g > 1, a mass :math:`1 - 1/g` lies at zero besides.

    Parameters
    ----------
    ratio : array_like
        g = p/n > 0, features over samples.
    variance : array_like
        s > 0, of one feature.

    Returns
    -------
    Support
        Of the broadcast shape. Costs O(1).

    Raises
    ------
    ValueError
        If an argument is not positive.

    References
    ----------
    Marchenko and Pastur (1967).

    Examples
    --------
    >>> [float(end) for end in mp_support(ratio=0.25, variance=4.0)]
    [1.0, 9.0]
    """
    return Support(*(end[()] for end in _ends(positive("ratio", ratio), positive("variance", variance))))


def mp_density(x: ArrayLike, *, ratio: ArrayLike, variance: ArrayLike = 1.0) -> Array:
    r"""Density of the eigenvalues other than zero, per feature: its integral is :math:`\min(1, 1/g)`.

    .. math:: \rho(x) = \frac{\sqrt{(b - x)(x - a)}}{2 \pi g s x} \qquad (a < x < b)

    and zero elsewhere. At g = 1 it grows as :math:`1/\sqrt x` towards zero, where it is given as zero.

    Parameters
    ----------
    x : array_like
        Where to evaluate it, real numbers.
    ratio, variance : array_like
        As for `mp_support`.

    Returns
    -------
    ndarray
        Of the broadcast shape. Costs O(1) a point.

    Raises
    ------
    ValueError
        If ``x`` is not finite or another argument not positive.

    References
    ----------
    Marchenko and Pastur (1967).

    Examples
    --------
    >>> mp_density([0.1, 1.0, 2.0], ratio=0.25).round(4)
    array([0.    , 0.6164, 0.2105])
    """
    points, g, s = np.broadcast_arrays(finite("x", x), positive("ratio", ratio), positive("variance", variance))
    low, high = _ends(g, s)
    inside = (points > low) & (points < high)
    safe = np.where(inside, points, high)
    return np.where(inside, np.sqrt((high - safe) * (safe - low)) / (2 * np.pi * g * s * safe), 0.0)[()]


def mp_stieltjes(z: ArrayLike, *, ratio: ArrayLike, variance: ArrayLike = 1.0) -> ComplexArray:
    r"""Stieltjes transform of the law, its mass at zero included.

    .. math:: m(z) = \frac{s (1 - g) - z + \sqrt{z - a} \sqrt{z - b}}{2 g s z}

    with two principal roots, whose product has its cut where the spectrum is; the root of their product,
    :math:`\sqrt{(z-a)(z-b)}`, is wrong left of the middle. It solves :math:`g s z m^2 + (z - s (1 - g)) m + 1 = 0`.
    Evaluated without cancellation, also near zero and far out.

    Parameters
    ----------
    z : array_like
        Complex numbers. On the real axis inside of the spectrum the limit from above is given, where the imaginary part
        is :math:`\pi \rho`.
    ratio, variance : array_like
        As for `mp_support`.

    Returns
    -------
    ndarray of complex
        Of the broadcast shape. Costs O(1) a point.

    Raises
    ------
    ValueError
        If ``z`` is not finite, or zero where the law has a pole or a singularity, g >= 1; or another argument is not
        positive.

    References
    ----------
    Marchenko and Pastur (1967).

    Examples
    --------
    >>> complex(mp_stieltjes(-1.0, ratio=0.5).round(6))
    (0.561553+0j)
    """
    points, g, s = np.broadcast_arrays(
        complex_numbers("z", z), positive("ratio", ratio), positive("variance", variance)
    )
    if np.any((points == 0) & (g >= 1)):
        raise ValueError("z must not be 0 where ratio >= 1, where the transform has a pole; got 0")
    low, high = _ends(g, s)
    root = np.sqrt(points - low) * np.sqrt(points - high)
    rest = s * (1 - g) - points
    far = np.abs(rest - root) >= np.abs(rest + root)
    # the product of both roots of the quadratic is 1 / (g s z)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(far, 2 / (rest - root), (rest + root) / (2 * g * s * points))[()]


def complex_numbers(name: str, value: ArrayLike) -> ComplexArray:
    """Return ``value`` as a finite complex array whose real numbers lie on the upper side of the axis."""
    array = np.asarray(value)
    if array.dtype.kind not in "buifc":
        raise TypeError(f"{name} must be a complex number or an array of them; got {value!r}")
    points = array.astype(complex)
    finite(f"real and imaginary parts of {name}", np.stack([points.real, points.imag]))
    return points.real + 1j * np.where(points.imag == 0, 0.0, points.imag)


def _ends(g: Array, s: Array) -> tuple[Array, Array]:
    root = np.sqrt(g)
    return s * ((1 - g) / (1 + root)) ** 2, s * (1 + root) ** 2
