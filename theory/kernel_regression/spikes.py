"""Outliers of random matrices: when a signal shows in a spectrum, where, and how well its direction is found."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from theory.validation import integer, nonnegative, positive

Array = NDArray[np.float64]


class Outlier(NamedTuple):
    """Top of a spectrum: its ``location``, and the squared overlap of its vector with the signal's."""

    location: Array
    overlap_sq: Array


def wigner_outlier(spike: ArrayLike, *, sigma: ArrayLike = 1.0) -> Outlier:
    r"""Return the top eigenvalue of a Wigner matrix plus a rank-one signal.

    With off-diagonal variance :math:`\sigma^2 / n` and the signal :math:`\theta v v^\top`, as :math:`n \to \infty`

    .. math:: \lambda = \theta + \frac{\sigma^2}{\theta}, \quad \text{overlap}^2 = 1 - \frac{\sigma^2}{\theta^2}
              \qquad (\theta > \sigma),

    and the edge 2 sigma with no overlap up to there. Corrections are of order 1/n above the transition and n^(-2/3)
    below, with coefficients that diverge at it.

    Parameters
    ----------
    spike : array_like
        theta >= 0.
    sigma : array_like
        sigma > 0.

    Returns
    -------
    Outlier
        Of the broadcast shape. Costs O(1).

    Raises
    ------
    ValueError
        If an argument is out of range.

    References
    ----------
    Baik, Ben Arous, Péché (2005), for this ensemble Péché (2006) and Benaych-Georges, Nadakuditi (2011).

    Examples
    --------
    >>> [float(part) for part in wigner_outlier(2.0)]
    [2.5, 0.75]
    """
    theta, s = np.broadcast_arrays(nonnegative("spike", spike), positive("sigma", sigma))
    seen = theta > s
    inverse = s / np.where(seen, theta, s)
    return Outlier((s * np.where(seen, 1 / inverse + inverse, 2.0))[()], ((1 - inverse) * (1 + inverse))[()])


def spiked_covariance_outlier(spike: ArrayLike, *, ratio: ArrayLike) -> Outlier:
    r"""Return the top eigenvalue of a sample covariance whose population has one eigenvalue l above all others, 1.

    With p features, n samples and :math:`\gamma = p/n`, as both grow,

    .. math:: \lambda = l \Bigl(1 + \frac{\gamma}{l - 1}\Bigr), \quad
              \text{overlap}^2 = \frac{1 - \gamma / (l - 1)^2}{1 + \gamma / (l - 1)} \qquad (l > 1 + \sqrt\gamma),

    and the edge :math:`(1 + \sqrt\gamma)^2` of the Marchenko-Pastur law with no overlap up to there.

    Parameters
    ----------
    spike : array_like
        l >= 1.
    ratio : array_like
        gamma > 0.

    Returns
    -------
    Outlier
        Of the broadcast shape. Costs O(1).

    Raises
    ------
    ValueError
        If an argument is out of range.

    References
    ----------
    Baik, Ben Arous, Péché (2005); Paul (2007); Benaych-Georges, Nadakuditi (2012).

    Examples
    --------
    >>> [round(float(part), 4) for part in spiked_covariance_outlier(4.0, ratio=0.5)]
    [4.6667, 0.8095]
    """
    top, g = np.broadcast_arrays(positive("spike", spike), positive("ratio", ratio))
    if np.any(top < 1):
        raise ValueError(f"spike must be at least 1, the rest of the population; got {top.min():g}")
    seen = top - 1 > np.sqrt(g)
    signal = np.where(seen, top - 1, np.sqrt(g))
    shift = g / signal
    return Outlier(((1 + signal) * (1 + shift))[()], np.where(seen, (1 - shift / signal) / (1 + shift), 0.0)[()])


def effective_batch_size(batch_size: int, *, n_samples: float = np.inf) -> float:
    r"""Size of a batch of unlimited samples with the noise of B drawn from N without replacement.

    .. math:: \frac{1}{b_e} = \frac1B - \frac1N

    Parameters
    ----------
    batch_size : int
        B >= 1.
    n_samples : int or inf
        N >= B; infinite for N = B, which has no noise.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        If an argument is out of range.

    References
    ----------
    Granziol, Zohren, Roberts (2020, arXiv:2006.09092).

    Examples
    --------
    >>> round(effective_batch_size(10, n_samples=60), 9), effective_batch_size(60, n_samples=60)
    (12.0, inf)
    """
    B, N = integer("batch_size", batch_size, minimum=1), float(n_samples)
    if not N >= B:
        raise ValueError(f"n_samples must be at least batch_size = {B}; got {n_samples}")
    return np.inf if N == B else float(B / (1 - B / N))


def batch_hessian_outlier(
    eigenvalue: ArrayLike, *, n_params: int, batch_size: int, noise_std: float, n_samples: float = np.inf
) -> Array:
    r"""Return where an eigenvalue of the full-data Hessian shows in the Hessian of a batch.

    Per-sample Hessians are H plus noise whose off-diagonal entries have the deviation s. With :math:`b_e` the
    effective batch size and :math:`\sigma^2 = P s^2 / b_e`,

    .. math:: \lambda \to \lambda + \frac{\sigma^2}{\lambda} \quad (\lambda > \sigma)

    and the edge :math:`2 \sigma` for smaller ones: a `wigner_outlier`. The noise is a model; Hessians of rank one for
    each sample follow `spiked_covariance_outlier` instead. The largest stable step size is 2 over the top one.

    Parameters
    ----------
    eigenvalue : array_like
        lambda >= 0.
    n_params : int
        P >= 1.
    batch_size : int
        B >= 1, drawn without replacement.
    noise_std : float
        s > 0.
    n_samples : int or inf
        N >= B; a batch of all samples has the eigenvalue itself.

    Returns
    -------
    ndarray
        Of the shape of ``eigenvalue``. Costs O(1).

    Raises
    ------
    ValueError
        If an argument is out of range.

    References
    ----------
    Granziol, Zohren, Roberts (2020, arXiv:2006.09092).

    Examples
    --------
    >>> round(float(batch_hessian_outlier(6.0, n_params=200, batch_size=15, noise_std=0.5, n_samples=60)), 4)
    6.4167
    """
    P, s = integer("n_params", n_params, minimum=1), positive("noise_std", noise_std)
    size = effective_batch_size(batch_size, n_samples=n_samples)
    if np.isinf(size):
        return nonnegative("eigenvalue", eigenvalue)[()]
    return wigner_outlier(nonnegative("eigenvalue", eigenvalue), sigma=s * np.sqrt(P / size)).location
