r"""How much worse early stopping is than the best ridge, anywhere and at worst.

Conventions are those of :mod:`theory.deep_linear.high_dimensional`.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq, minimize_scalar
from scipy.special import erf, erfc

from theory.deep_linear._checks import broadcast
from theory.deep_linear.high_dimensional import optimal_stopping_time, ridge_test_error, test_error
from theory.validation import interval, positive

Array = NDArray[np.float64]


class WorstRatio(NamedTuple):
    r"""Largest ratio of test errors, and the place :math:`u = \sqrt S (\sqrt\alpha - 1)` where it is approached."""

    ratio: float
    place: float


def early_stopping_ratio(*, alpha: ArrayLike, snr: ArrayLike) -> Array:
    r"""Test error of gradient flow from zero, stopped at its best, over that of ridge regression at its best.

    At least 1; below :func:`worst_stopping_ratio`. 1 for no signal and for very few or very many samples, where all
    eigenvalues that matter are alike: a single one is shrunk alike by both.

    Parameters
    ----------
    alpha : array_like
        Samples per feature, > 0.
    snr : array_like
        Power of the teacher over that of the noise, > 0.

    Returns
    -------
    ndarray
        Ratios, of the arguments' common shape, to a relative accuracy of 1e-10. Costs some ten quadratures an entry.

    Raises
    ------
    ValueError
        If an argument is not positive or shapes do not broadcast.

    Examples
    --------
    >>> early_stopping_ratio(alpha=[0.1, 1.0, 10.0], snr=100.0).round(4)
    array([1.    , 1.0254, 1.0001])
    """
    a, S = positive("alpha", alpha), positive("snr", snr)
    a, S = (np.broadcast_to(value, broadcast(alpha=a, snr=S)) for value in (a, S))
    times = optimal_stopping_time(alpha=a, snr=S)
    return test_error(times, alpha=a, snr=S) / ridge_test_error(1 / S, alpha=a, snr=S)


def critical_stopping_ratio(u: ArrayLike) -> Array:
    r"""Limit of :func:`early_stopping_ratio` at large S with :math:`u = \sqrt S (\sqrt\alpha - 1)` held.

    Near alpha = 1 eigenvalues x/S have the density :math:`\sqrt{x - u^2} / (\pi x \sqrt S)`, and a mass
    :math:`2 (-u)_+ / \sqrt S` is at zero. After a time :math:`\tau S` the test error is :math:`\sqrt S` times

    .. math:: A(2\tau) + 2 I(\tau) - I(2\tau) + 2 (-u)_+, \quad
        A(c) = \frac{e^{-c u^2}}{\sqrt{\pi c}} - |u| \operatorname{erfc}(|u| \sqrt c), \quad I(\tau) = \int_0^\tau A,

    and with the best ridge it is :math:`\sqrt S (\sqrt{1 + u^2} - u)`.

    Parameters
    ----------
    u : array_like
        Distance from as many samples as features, at the scale where the least eigenvalues tell signal from noise.

    Returns
    -------
    ndarray
        Ratios, of the shape of ``u``.

    Raises
    ------
    ValueError
        If an entry of ``u`` is not finite or beyond 1e6 in size.

    Examples
    --------
    >>> critical_stopping_ratio([-1.0, 0.0, 0.56, 3.0]).round(4)
    array([1.0055, 1.027 , 1.0351, 1.0118])
    """
    places = interval("u", u, -1e6, 1e6)
    return np.array([_critical_ratio(float(place)) for place in places.flat]).reshape(places.shape)


def worst_stopping_ratio() -> WorstRatio:
    r"""Largest ratio of :func:`critical_stopping_ratio`, which no finite signal attains, and its place.

    That the ratio grows with S along the best alpha, so that this is its supremum everywhere, is found numerically.

    Examples
    --------
    >>> ratio, place = worst_stopping_ratio()
    >>> round(ratio, 5), round(place, 3)
    (1.03513, 0.56)
    """
    found = minimize_scalar(lambda u: -_critical_ratio(u), bounds=(0.0, 2.0), method="bounded", options={"xatol": 1e-6})
    return WorstRatio(-float(found.fun), float(found.x))


def _critical_ratio(u: float) -> float:
    size = abs(u)

    def left(c: float) -> float:
        return float(np.exp(-c * size**2) / np.sqrt(np.pi * c) - size * erfc(size * np.sqrt(c)))

    def integral(tau: float) -> float:
        x = size * np.sqrt(tau)
        if x < 1e-8:
            return float(2 * np.sqrt(tau / np.pi))
        return float((erf(x) - 2 * x**2 * erfc(x) + 2 / np.sqrt(np.pi) * x * np.exp(-(x**2))) / (2 * size))

    def slope(log_tau: float) -> float:
        tau = np.exp(log_tau)
        return float(left(tau) - left(2 * tau) - np.exp(-2 * tau * size**2) / (2 * np.sqrt(np.pi) * (2 * tau) ** 1.5))

    # single modes x, all above u^2, are best stopped at ln(1 + x) / x
    last = np.log1p(size**2) / size**2 if size > 1e-8 else 1.0
    tau = np.exp(brentq(slope, np.log(1e-3 / (1 + size**2)), np.log(last) + 1e-9, xtol=1e-13))
    stopped = left(2 * tau) + 2 * integral(tau) - integral(2 * tau) + 2 * max(-u, 0.0)
    return float(stopped / (np.hypot(1, u) - u))
