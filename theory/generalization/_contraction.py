"""How much of a divergence one noisy layer lets through: strong data-processing constants."""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import erf

from theory import validation
from theory.generalization._counts import counts

Array = NDArray[np.float64]


def dropout_contraction(rate: ArrayLike, width: ArrayLike) -> Array:
    r"""Largest share of a KL divergence that dropout on d units lets through.

    .. math:: \eta = 1 - \delta^d

    Each unit is zeroed independently with probability delta; active units are never exactly 0. The divergence behind is
    the mean over masks of that of the units kept, so that everything is lost only when all are dropped. Attained where
    every unit alone tells the two laws apart as well as all together; independent units keep 1 - delta, and laws that
    differ in the parity of d bits only, (1 - delta)^d.

    Parameters
    ----------
    rate : array_like
        delta in [0, 1].
    width : array_like of int
        d >= 1.

    Returns
    -------
    ndarray or float

    Raises
    ------
    ValueError
        If an argument is out of range.

    References
    ----------
    Example of He and Goldfeld (2024), arXiv:2404.03176; constant derived here.

    Examples
    --------
    >>> round(float(dropout_contraction(0.4, 3)), 12)
    0.936
    """
    delta, d = validation.interval("rate", rate, 0, 1), counts("width", width, minimum=1)
    with np.errstate(divide="ignore"):
        return (-np.expm1(d * np.log(delta)))[()]


def dropconnect_contraction(rate: ArrayLike, width_in: ArrayLike, width_out: ArrayLike) -> Array:
    r"""Bound on the share of a KL divergence that a layer with randomly dropped weights lets through.

    .. math:: \eta \le 1 - \delta^{d_{\mathrm{in}} d_{\mathrm{out}}}

    The mask is not seen behind the layer, but its loss of everything, when all weights are dropped, is. Attained where
    every other mask reveals the input, as for inputs c (1, ..., 1) and generic weights.

    Parameters
    ----------
    rate : array_like
        delta in [0, 1].
    width_in, width_out : array_like of int
        Numbers of units >= 1 in front and behind.

    Returns
    -------
    ndarray or float

    Raises
    ------
    ValueError
        If an argument is out of range.

    Examples
    --------
    >>> round(float(dropconnect_contraction(0.3, 2, 2)), 12)
    0.9919
    """
    number = counts("width_in", width_in, minimum=1) * counts("width_out", width_out, minimum=1)
    return dropout_contraction(rate, number)


def gaussian_noise_contraction(diameter: ArrayLike, noise_std: ArrayLike) -> Array:
    r"""Bound on the share of a KL divergence that Gaussian noise on bounded activations lets through.

    .. math:: \eta_{\mathrm{KL}} \le \eta_{\mathrm{TV}} = 2 \Phi\Bigl(\frac{D}{2 s}\Bigr) - 1

    for N(0, s^2 I) on a set of Euclidean diameter D: sqrt(d) for d sigmoid units, 2 sqrt(d) for tanh. Attained for the
    total variation, not for the KL divergence.

    Parameters
    ----------
    diameter : array_like
        D >= 0.
    noise_std : array_like
        s > 0.

    Returns
    -------
    ndarray or float

    Raises
    ------
    ValueError
        If an argument is out of range.

    References
    ----------
    Dobrushin (1956); Polyanskiy and Wu (2017).

    Examples
    --------
    >>> round(float(gaussian_noise_contraction(2.0, 1.0)), 12)
    0.682689492137
    """
    D, s = validation.nonnegative("diameter", diameter), validation.positive("noise_std", noise_std)
    return erf(D / (np.sqrt(8) * s))[()]
