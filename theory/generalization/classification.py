r"""Classifiers whose errors are known: of two Gaussian classes, and of overlapping classes that are interpolated.

For the first two labels are :math:`Y = \pm 1`, points :math:`X | Y \sim N(Y \mu, I_d)`, and n and d grow together,
:math:`d / n \to \gamma`, at a fixed signal :math:`\Delta = |\mu|`.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr, xlog1py, xlogy

from theory import validation
from theory.generalization._counts import counts

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


def temperature_scaled_kl(overlap: ArrayLike, num_classes: ArrayLike, confidence: ArrayLike | None = None) -> Array:
    r"""Divergence that no temperature removes, of a classifier that interpolates overlapping classes.

    Classes come in pairs, and points of a pair are on the line: a share a of them where both labels are equally likely,
    the rest where one is certain. The nearest neighbour's label gets the confidence c, all others (1 - c) / (k - 1)
    each, which is all that one temperature can do to equal margins. As points grow in number,

    .. math:: E\, \mathrm{KL} = -\Bigl(1 - \frac a2\Bigr) \ln c - \frac a2 \ln\frac{1 - c}{k - 1} - a \ln 2 ,

    least at c = 1 - a/2, the accuracy. There the top label is calibrated, and yet the divergence grows like (a/2) ln k.

    Parameters
    ----------
    overlap : array_like
        a in [0, 1].
    num_classes : array_like of int
        k >= 2, even.
    confidence : array_like, optional
        c in (0, 1); the best when left out.

    Returns
    -------
    ndarray or float
        Nats. Costs O(1).

    Raises
    ------
    ValueError
        If an argument is out of range.

    References
    ----------
    After Chidambaram and Ge (2023), arXiv:2306.00740; model and formula derived here.

    Examples
    --------
    >>> round(float(temperature_scaled_kl(0.3, 4)), 6)
    0.379557
    """
    a, k = validation.interval("overlap", overlap, 0, 1), _paired_classes(num_classes)
    wrong = a / 2
    # 1 - c, without a subtraction where it is the overlap's half
    rest = wrong if confidence is None else 1 - validation.interval("confidence", confidence, 0, 1)
    if confidence is not None and np.any((rest == 0) | (rest == 1)):
        raise ValueError("confidence must be inside of (0, 1); got an end")
    return (-xlog1py(1 - wrong, -rest) - xlogy(wrong, rest) + wrong * np.log(k - 1) - a * np.log(2))[()]


def uniform_prediction_kl(overlap: ArrayLike, num_classes: ArrayLike) -> Array:
    r"""Divergence of the prediction that says nothing: :math:`\ln k - a \ln 2`.

    Parameters
    ----------
    overlap, num_classes : array_like
        As for :func:`temperature_scaled_kl`.

    Returns
    -------
    ndarray or float
        Nats. Costs O(1).

    Raises
    ------
    ValueError
        If an argument is out of range.

    Examples
    --------
    >>> round(float(uniform_prediction_kl(0.3, 4)), 6)
    1.17835
    """
    a, k = validation.interval("overlap", overlap, 0, 1), _paired_classes(num_classes)
    return (np.log(k) - a * np.log(2))[()]


def _paired_classes(num_classes: ArrayLike) -> NDArray[np.int64]:
    k = counts("num_classes", num_classes, minimum=2)
    if np.any(k % 2):
        raise ValueError(f"num_classes must be even, as classes come in pairs; got {num_classes!r}")
    return k


def _margin(delta: Array, gamma: Array) -> Array:
    """Return delta^2 / sqrt(delta^2 + gamma), zero without a signal."""
    norm = np.hypot(delta, np.sqrt(gamma))
    return delta * delta / np.where(norm > 0, norm, 1.0)
