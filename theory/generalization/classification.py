r"""Two linear classifiers of two Gaussian classes, one from the class means alone, one by least squares.

Labels are :math:`Y = \pm 1`, points :math:`X | Y \sim N(Y \mu, I_d)`, and n and d grow together,
:math:`d / n \to \gamma`, at a fixed signal :math:`\Delta = |\mu|`.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr

from theory import validation

Array = NDArray[np.float64]


def generative_error(delta: ArrayLike, gamma: ArrayLike) -> Array:
    r"""Error of the classifier along the class mean, in the limit of many points and dimensions.

    .. math:: \Phi\Bigl(-\frac{\Delta}{\sqrt{1 + \gamma / \Delta^2}}\Bigr)

    The mean of Y_i X_i has signal Delta and noise of norm sqrt(gamma). Corrections are of order 1/n;
    :func:`class_mean_errors` has the error at finite n.

    Parameters
    ----------
    delta : array_like
        Signal, norm of the mean in standard deviations of the noise, >= 0.
    gamma : array_like
        Dimensions per point, >= 0.

    Returns
    -------
    ndarray or float
        Probability in [0, 1/2].

    Raises
    ------
    ValueError
        If an argument is negative or not finite.

    References
    ----------
    Setting after Zheng et al. (2023), arXiv:2302.02334; formula derived here.

    Examples
    --------
    >>> round(float(generative_error(1.0, 0.4)), 6)
    0.199012
    """
    return ndtr(-_margin(validation.nonnegative("delta", delta), validation.nonnegative("gamma", gamma)))[()]


def discriminative_error(delta: ArrayLike, gamma: ArrayLike) -> Array:
    r"""Error of the classifier that least squares fits to the labels, without an intercept, in the same limit.

    .. math:: \Phi\Bigl(-\frac{\Delta \sqrt{1 - \gamma}}{\sqrt{1 + \gamma / \Delta^2}}\Bigr), \qquad 0 \le \gamma < 1

    It has to invert the covariance that the generative classifier knows, and loses sqrt(1 - gamma). Corrections are of
    order 1/n.

    Parameters
    ----------
    delta : array_like
        Signal, >= 0.
    gamma : array_like
        Dimensions per point, in [0, 1).

    Returns
    -------
    ndarray or float
        Probability in [0, 1/2].

    Raises
    ------
    ValueError
        If an argument is out of range.

    References
    ----------
    Setting after Zheng et al. (2023), arXiv:2302.02334; formula derived here.

    Examples
    --------
    >>> round(float(discriminative_error(1.0, 0.4)), 6)
    0.256345
    """
    signal, ratio = validation.nonnegative("delta", delta), validation.interval("gamma", gamma, 0, 1)
    if (ratio == 1).any():
        raise ValueError("gamma must be in [0, 1); got 1")
    return ndtr(-_margin(signal, ratio) * np.sqrt(1 - ratio))[()]


def _margin(delta: Array, gamma: Array) -> Array:
    """Return delta^2 / sqrt(delta^2 + gamma), zero without a signal."""
    norm = np.hypot(delta, np.sqrt(gamma))
    return delta * delta / np.where(norm > 0, norm, 1.0)
