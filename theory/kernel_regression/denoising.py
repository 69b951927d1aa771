"""What separates two losses of score estimation: errors against the noise that was added, and against the score."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from theory.validation import finite, nonnegative, positive, positive_scalar, same_shape

Array = NDArray[np.float64]

_REACH, _STEP = 12.0, 0.02  # of the quadrature, in units of the noise


def denoising_gap(variances: ArrayLike, *, signal: float, noise: ArrayLike) -> Array:
    r"""Difference between the two losses of any guess at the score, for Gaussian data.

    Noisy data are :math:`x_t = a x_0 + s z`, z standard normal. For every function f

    .. math:: E |f(x_t) + z / s|^2 - E |f(x_t) - \nabla \log p_t(x_t)|^2 = E |z / s|^2 - E |\nabla \log p_t(x_t)|^2 ,

    for -z / s has the score for its mean given :math:`x_t`. The first loss can be sampled, and has the minimiser of the
    second; the difference is its least value. With data of covariance eigenvalues :math:`v_i` it is

    .. math:: \sum_i \Big[ \frac{1}{s^2} - \frac{1}{a^2 v_i + s^2} \Big] = \sum_i \frac{a^2 v_i}{s^2 (a^2 v_i + s^2)} .

    Parameters
    ----------
    variances : array_like, shape (d,)
        Eigenvalues v >= 0 of the covariance of the data.
    signal : float
        a.
    noise : array_like
        s > 0, in units of the data.

    Returns
    -------
    array, of the shape of noise

    Raises
    ------
    ValueError
        If a variance is negative, or the noise not positive.

    References
    ----------
    Vincent, A connection between score matching and denoising autoencoders (2011); used by Han, Razaviyayn, Xu (2024,
    arXiv:2401.15604).

    Examples
    --------
    >>> print(denoising_gap([1.0], signal=0.6, noise=0.8).round(6))  # 1 / 0.64 - 1
    0.5625
    """
    v = nonnegative("variances", variances, ndim=1)
    a2 = float(finite("signal", signal, ndim=0)) ** 2
    s2 = positive("noise", noise)[..., None] ** 2
    return np.sum(a2 * v / (s2 * (a2 * v + s2)), axis=-1)


def denoising_gap_discrete(values: ArrayLike, probabilities: ArrayLike, *, signal: float, noise: float) -> float:
    r"""Difference between the two losses for data on the line that take finitely many values.

    As the score is :math:`(a E[x_0 | x_t] - x_t) / s^2`, the difference of `denoising_gap` is :math:`\frac{a^2}{s^4}
    E\, \mathrm{Var}(x_0 | x_t)`, here by the trapezoidal rule around each value, to some twelve digits. Costs O(N^2)
    for N values.

    Parameters
    ----------
    values, probabilities : array_like, shape (N,)
        Values of x_0, and probabilities > 0 that add up to 1.
    signal, noise : float
        a, and s > 0.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        If shapes differ, or probabilities are not positive or do not add up to 1.

    References
    ----------
    As for `denoising_gap`; the conditional mean is Tweedie's formula.

    Examples
    --------
    >>> round(denoising_gap_discrete([-1.0, 1.0], [0.5, 0.5], signal=0.6, noise=0.8), 6)
    0.544278
    """
    x0 = finite("values", values, ndim=1)
    p = same_shape("probabilities", positive("probabilities", probabilities, ndim=1), "values", x0)
    if not np.isclose(p.sum(), 1.0, rtol=0, atol=1e-12):
        raise ValueError(f"probabilities must add up to 1; got {p.sum():g}")
    a, s = float(finite("signal", signal, ndim=0)), positive_scalar("noise", noise)
    z = np.arange(-_REACH, _REACH + _STEP / 2, _STEP)
    density = np.exp(-0.5 * z**2) * _STEP / np.sqrt(2 * np.pi)
    # given the value that was there, the posterior depends on differences of values and on z
    exponents = -0.5 * (z + a / s * (x0[:, None, None] - x0[:, None])) ** 2 + np.log(p)[:, None]  # truth, guess, z
    posterior = np.exp(exponents - exponents.max(axis=1, keepdims=True))
    posterior /= posterior.sum(axis=1, keepdims=True)
    mean = np.einsum("tgz,g->tz", posterior, x0)
    variance = np.einsum("tgz,tgz->tz", posterior, (x0[:, None] - mean[:, None]) ** 2)
    return float(a**2 / s**4 * (p @ variance @ density))
