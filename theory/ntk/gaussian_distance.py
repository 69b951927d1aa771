"""How far the output of a wide Bayesian network is from the Gaussian that it tends to."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from theory.validation import nonnegative

Array = NDArray[np.float64]


def w1_width_coefficient(excess_kurtosis_times_n: ArrayLike) -> Array:
    r"""Limit of n times the 1-Wasserstein distance between an output of unit variance and N(0, 1).

    To first order in 1/n a symmetric output of excess kurtosis :math:`\kappa / n` has the distribution function
    :math:`\Phi - \frac{\kappa}{24 n} He_3 \varphi`, and on the line the distance is the area between distribution
    functions: :math:`\frac{\kappa}{24} \int |He_3| \varphi = \frac{\kappa}{24} \frac{2 + 8 e^{-3/2}}{\sqrt{2 \pi}}`.
    The next term is :math:`O(n^{-2})` in the distance.

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
    return kappa / 24 * (2 + 8 * np.exp(-1.5)) / np.sqrt(2 * np.pi)
