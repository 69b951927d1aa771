"""The top of a batch Hessian's spectrum: an outlier of the full-data Hessian under the noise of subsampling."""

from typing import NamedTuple

import numpy as np

from theory import validation

_TRACY_WIDOM_MEAN = -1.2065335745820  # of the largest eigenvalue of real symmetric Gaussian matrices


class BatchHessianOutlier(NamedTuple):
    """Top of a batch Hessian's spectrum: the ``eigenvalue``, and its vector's squared ``overlap`` with the true one."""

    eigenvalue: float
    overlap: float


def batch_hessian_outlier(
    eigenvalue: float, *, n_parameters: int, noise_variance: float, batch_size: int, n_samples: float = np.inf
) -> BatchHessianOutlier:
    r"""Top eigenvalue of a batch Hessian, when the full-data Hessian has one outlier and samples add Wigner noise.

    With :math:`s^2 = P\sigma^2 (1/B - 1/N)`, the variance of a batch mean about the mean of all N samples,

    .. math:: \lambda \to \lambda + \frac{s^2}{\lambda}, \quad \text{overlap} = 1 - \frac{s^2}{\lambda^2}
              \qquad (\lambda > s),

    and the edge 2 s of the noise, with no overlap, for smaller outliers. Leading order in P, at fixed s.

    Parameters
    ----------
    eigenvalue : float
        lambda > 0, of the full-data Hessian.
    n_parameters : int
        P >= 1.
    noise_variance : float
        sigma^2 > 0 of an off-diagonal entry of one sample's Hessian.
    batch_size : int
        B >= 1, drawn without replacement.
    n_samples : int or inf
        N > B samples behind the full-data Hessian.

    Returns
    -------
    BatchHessianOutlier
        ``overlap`` is the squared cosine between the outlier's eigenvectors.

    Raises
    ------
    ValueError
        If an argument is out of range, or ``n_samples`` <= ``batch_size``.

    References
    ----------
    Granziol, Zohren, Roberts (2022), arXiv:2006.09092.

    Examples
    --------
    >>> batch_hessian_outlier(2.0, n_parameters=100, noise_variance=0.1, batch_size=10)
    BatchHessianOutlier(eigenvalue=2.5, overlap=0.75)
    """
    lam = validation.positive_scalar("eigenvalue", eigenvalue)
    s = _noise_scale(n_parameters, noise_variance, batch_size, n_samples)
    if lam <= s:
        return BatchHessianOutlier(eigenvalue=2 * s, overlap=0.0)
    return BatchHessianOutlier(eigenvalue=lam + s**2 / lam, overlap=1 - (s / lam) ** 2)


def batch_hessian_outlier_shift(
    eigenvalue: float, *, n_parameters: int, noise_variance: float, batch_size: int, n_samples: float = np.inf
) -> BatchHessianOutlier:
    r"""Means of outlier and overlap less their limits, of first order in 1/P, when the noise is Gaussian.

    .. math:: E\lambda_1 - \Bigl(\lambda + \frac{s^2}{\lambda}\Bigr)
              = \frac{s^2}{P}\, \frac{2 s^2 - \lambda^2}{\lambda (\lambda^2 - s^2)}, \qquad
              E\,\text{overlap} - \Bigl(1 - \frac{s^2}{\lambda^2}\Bigr)
              = \frac{s^2}{P}\, \frac{\lambda^4 - 5 s^2\lambda^2 + 2 s^4}{\lambda^2 (\lambda^2 - s^2)^2}

    up to :math:`O(P^{-2})`, from expanding :math:`F(z) = v^\top (z - W)^{-1} v = 1/\lambda` and the overlap
    :math:`-1 / (\lambda^2 F'(z))` about their limits to second order: the resolvent's own 1/P correction for real
    symmetric matrices, and the covariances of the fluctuations of F with those of its derivatives. They diverge at the
    transition, where the expansion ends; next to it P must be far larger for them to say anything.

    Parameters
    ----------
    eigenvalue, n_parameters, noise_variance, batch_size, n_samples
        As in :func:`batch_hessian_outlier`, with lambda > s.

    Returns
    -------
    BatchHessianOutlier
        What to add to the limits.

    Raises
    ------
    ValueError
        If an argument is out of range, or ``eigenvalue`` is not above the transition.

    References
    ----------
    Derived here, in the setting of Granziol, Zohren, Roberts (2022), arXiv:2006.09092.

    Examples
    --------
    >>> shift = batch_hessian_outlier_shift(2.0, n_parameters=100, noise_variance=0.1, batch_size=10)
    >>> round(shift.eigenvalue, 6), round(shift.overlap, 6)
    (-0.003333, -0.000556)
    """
    lam = validation.positive_scalar("eigenvalue", eigenvalue)
    s = _noise_scale(n_parameters, noise_variance, batch_size, n_samples)
    if lam <= s:
        raise ValueError(f"eigenvalue must be above the transition, {s:g}, for an outlier to exist; got {lam:g}")
    x = (lam / s) ** 2
    return BatchHessianOutlier(
        eigenvalue=float(s * (2 - x) / (np.sqrt(x) * (x - 1)) / n_parameters),
        overlap=float((x**2 - 5 * x + 2) / (x * (x - 1) ** 2) / n_parameters),
    )


def batch_hessian_edge_shift(
    *, n_parameters: int, noise_variance: float, batch_size: int, n_samples: float = np.inf
) -> float:
    r"""Mean of the top eigenvalue less the edge 2 s of the noise, when no outlier is above the transition.

    .. math:: E\lambda_1 - 2 s = s\, \mu_1 P^{-2/3} + O(P^{-1}), \qquad \mu_1 = -1.2065335745820

    the mean of the Tracy-Widom law of real symmetric matrices. Spikes well below the transition leave it as it is.

    Parameters
    ----------
    n_parameters, noise_variance, batch_size, n_samples
        As in :func:`batch_hessian_outlier`.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        If an argument is out of range.

    References
    ----------
    Tracy, Widom (1996); Bornemann (2010), arXiv:0904.1581, for the mean.

    Examples
    --------
    >>> round(batch_hessian_edge_shift(n_parameters=1000, noise_variance=0.001, batch_size=1), 6)
    -0.012065
    """
    s = _noise_scale(n_parameters, noise_variance, batch_size, n_samples)
    return s * _TRACY_WIDOM_MEAN * n_parameters ** (-2 / 3)


def effective_batch_size(batch_size: int, n_samples: float = np.inf) -> float:
    r"""Batch size that, drawn from unlimited samples, has the noise of B drawn from N: :math:`1/(1/B - 1/N)`.

    The mean of B of N samples differs from the mean of all N by a variance sigma^2 (1/B - 1/N).

    Parameters
    ----------
    batch_size : int
        B >= 1, drawn without replacement.
    n_samples : int or inf
        N > B.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        If an argument is out of range, or ``n_samples`` <= ``batch_size``.

    References
    ----------
    Textbook (sampling without replacement); used so by Granziol, Zohren, Roberts (2022), arXiv:2006.09092.

    Examples
    --------
    >>> round(effective_batch_size(10, 60), 9)
    12.0
    """
    B = validation.integer("batch_size", batch_size, minimum=1)
    N = float(n_samples) if np.isposinf(n_samples) else validation.positive_scalar("n_samples", n_samples)
    if N <= B:
        raise ValueError(f"n_samples must exceed batch_size, {B}; got {N:g}")
    return 1 / (1 / B - 1 / N)


def learning_rate_exponent(
    eigenvalue: float, *, n_parameters: int, noise_variance: float, batch_size: int, n_samples: float = np.inf
) -> float:
    r"""Local power of the effective batch size with which the largest stable step size, 2 over the top, grows.

    .. math:: \frac{d \log (2 / \lambda_1)}{d \log b} = \frac{1}{1 + \lambda^2 / s^2} \quad (\lambda > s), \qquad
              \frac12 \quad (\lambda \le s) .

    The noise's part of an outlier, s^2/lambda, is never larger than lambda itself, so that the exponent does not exceed
    one half: what grows linearly in b as long as noise dominates is not this step size.

    Parameters
    ----------
    eigenvalue, n_parameters, noise_variance, batch_size, n_samples
        As in :func:`batch_hessian_outlier`.

    Returns
    -------
    float
        In (0, 1/2].

    Raises
    ------
    ValueError
        If an argument is out of range.

    References
    ----------
    Derived here from the outlier of Granziol, Zohren, Roberts (2022), arXiv:2006.09092.

    Examples
    --------
    >>> learning_rate_exponent(2.0, n_parameters=100, noise_variance=0.1, batch_size=10)
    0.2
    """
    lam = validation.positive_scalar("eigenvalue", eigenvalue)
    s = _noise_scale(n_parameters, noise_variance, batch_size, n_samples)
    return float(1 / (1 + max(lam / s, 1.0) ** 2))


def _noise_scale(n_parameters: int, noise_variance: float, batch_size: int, n_samples: float) -> float:
    """Return s, a quarter of the width of the noise's spectrum."""
    P = validation.integer("n_parameters", n_parameters, minimum=1)
    variance = validation.positive_scalar("noise_variance", noise_variance)
    return float(np.sqrt(P * variance / effective_batch_size(batch_size, n_samples)))
