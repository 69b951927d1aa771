"""The top of a batch Hessian's spectrum: an outlier of the full-data Hessian under the noise of subsampling."""

from typing import NamedTuple

import numpy as np

from theory import validation


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
    P = validation.integer("n_parameters", n_parameters, minimum=1)
    variance = validation.positive_scalar("noise_variance", noise_variance)
    B = validation.integer("batch_size", batch_size, minimum=1)
    N = float(n_samples) if np.isposinf(n_samples) else validation.positive_scalar("n_samples", n_samples)
    if N <= B:
        raise ValueError(f"n_samples must exceed batch_size, {B}; got {N:g}")
    s2 = P * variance * (1 / B - 1 / N)
    if lam**2 <= s2:
        return BatchHessianOutlier(eigenvalue=2 * float(np.sqrt(s2)), overlap=0.0)
    return BatchHessianOutlier(eigenvalue=lam + s2 / lam, overlap=1 - s2 / lam**2)
