"""How far the output of a wide Bayesian network is from the Gaussian that it tends to."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from theory.validation import finite, nonnegative

Array = NDArray[np.float64]

_AT_0 = 1 / np.sqrt(2 * np.pi)  # the normal density where He_3 changes sign: at 0 and at +- sqrt 3
_AT_ROOT_3 = _AT_0 * np.exp(-1.5)


def w1_width_coefficient(excess_kurtosis_times_n: ArrayLike) -> Array:
    r"""Limit of n times the 1-Wasserstein distance between an output of unit variance and N(0, 1).

    To first order in 1/n a symmetric output of excess kurtosis :math:`\kappa / n` has the distribution function
    :math:`\Phi - \frac{\kappa}{24 n} He_3 \varphi`, and on the line the distance is the area between distribution
    functions: :math:`\frac{\kappa}{24} \int |He_3| \varphi = \frac{\kappa}{24} \frac{2 + 8 e^{-3/2}}{\sqrt{2 \pi}}`.
    The next term is :math:`O(n^{-2})` in the distance, see `w1_width_correction`.

    Parameters
    ----------
    excess_kurtosis_times_n : array_like
        :math:`\kappa \ge 0`, as `output_kurtosis_coefficient` gives it: 15 for relu, 6 for a linear layer. A Gaussian
        with a random variance has no negative excess.

    Returns
    -------
    array

    Raises
    ------
    ValueError
        If it is negative.

    References
    ----------
    Companion to Tran et al. 2022, who match priors of networks and Gaussian processes in this distance; derived here.

    Examples
    --------
    >>> print(w1_width_coefficient(15.0).round(6))
    0.943758
    """
    kappa = nonnegative("excess_kurtosis_times_n", excess_kurtosis_times_n)
    return kappa / 24 * (2 * _AT_0 + 8 * _AT_ROOT_3)


def w1_width_correction(excess_kurtosis_times_n: ArrayLike, sixth_cumulant_times_n2: ArrayLike) -> Array:
    r"""Coefficient of :math:`n^{-2}` in the distance whose leading one is `w1_width_coefficient`.

    The next terms of the distribution function are :math:`- \big( \frac{\kappa_6}{720} He_5 + \frac{\kappa^2}{1152}
    He_7 \big) \varphi / n^2`. They move the points where it crosses the Gaussian one, which changes the area at
    third order only, so that their integral counts with the sign of :math:`He_3`:

    .. math:: \frac{\kappa_6}{720} \big( -6 \varphi(0) - 24 \varphi(\sqrt 3) \big) + \frac{\kappa^2}{1152} \big( 30
        \varphi(0) + 48 \varphi(\sqrt 3) \big) .

    Parameters
    ----------
    excess_kurtosis_times_n : array_like
        :math:`\kappa > 0`.
    sixth_cumulant_times_n2 : array_like
        :math:`\kappa_6`, for an output of unit variance.

    Returns
    -------
    array, of the shape that both broadcast to

    Raises
    ------
    ValueError
        If the excess is negative.

    References
    ----------
    Derived here from the expansion of Edgeworth.

    Examples
    --------
    >>> print(w1_width_correction(15.0, 660.0).round(6))  # relu
    -0.980458
    """
    kappa = nonnegative("excess_kurtosis_times_n", excess_kurtosis_times_n)
    sixth = finite("sixth_cumulant_times_n2", sixth_cumulant_times_n2)
    return sixth / 720 * (-6 * _AT_0 - 24 * _AT_ROOT_3) + kappa**2 / 1152 * (30 * _AT_0 + 48 * _AT_ROOT_3)
