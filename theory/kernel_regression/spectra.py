"""Spectra to feed to the eigenframework: of a kernel on given points, and of dot-product kernels on the cube."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import gammaln

from theory.validation import finite, integer, nonnegative

Array = NDArray[np.float64]

_NEGATIVE = 1e-10  # least eigenvalue over largest that rounding explains


class KernelSpectrum(NamedTuple):
    """Eigenvalues, falling, squared coefficients of the labels, and multiplicities, each of shape (M,)."""

    eigenvalues: Array
    coefficients_sq: Array
    multiplicities: Array


def kernel_spectrum(kernel: ArrayLike, labels: ArrayLike) -> KernelSpectrum:
    r"""Spectrum of a kernel, and power of labels in its modes, where the N given points are the whole population.

    With :math:`K u_i = N \lambda_i u_i` for the kernel matrix and unit vectors :math:`u_i`, eigenfunctions are
    :math:`\sqrt N u_i` and coefficients :math:`v_i = u_i \cdot y / \sqrt N`. Choose N well above the numbers of samples
    to be predicted: modes beyond them are seen as mere noise. Costs O(N^3).

    Parameters
    ----------
    kernel : array_like, shape (N, N)
        Symmetric and positive semi-definite.
    labels : array_like, shape (N,) or (N, C)
        With several outputs, squared coefficients are summed over them, and risks will be.

    Returns
    -------
    KernelSpectrum

    Raises
    ------
    ValueError
        If shapes do not match, the kernel is not symmetric, or it has a negative eigenvalue beyond rounding.

    References
    ----------
    Simon et al. (2021, arXiv:2110.03922) and Canatar et al. (2021, arXiv:2006.13198) measure spectra so.

    Examples
    --------
    >>> kernel_spectrum([[2.0, 1.0], [1.0, 2.0]], [1.0, 1.0]).eigenvalues
    array([1.5, 0.5])
    """
    matrix = finite("kernel", kernel, ndim=2)
    if matrix.shape[0] != matrix.shape[1] or not matrix.size:
        raise ValueError(f"kernel must be a square matrix; got shape {matrix.shape}")
    if not np.allclose(matrix, matrix.T, rtol=1e-10, atol=1e-12 * np.abs(matrix).max()):
        raise ValueError("kernel must be symmetric; its parts above and below the diagonal differ")
    y = finite("labels", labels)
    if y.ndim not in (1, 2) or len(y) != len(matrix):
        raise ValueError(f"labels must have one row for each of the {len(matrix)} points; got shape {y.shape}")
    values, vectors = np.linalg.eigh(matrix)
    if values[0] < -_NEGATIVE * values[-1]:
        raise ValueError(f"kernel must be positive semi-definite; got the eigenvalue {values[0]:g}")
    points = len(matrix)
    signal = np.sum((vectors.T @ y.reshape(points, -1)) ** 2, axis=1) / points
    rounding = points * np.finfo(float).eps * values[-1]
    values = np.where(values > rounding, values / points, 0.0)
    return KernelSpectrum(values[::-1], signal[::-1], np.ones(points))


def cube_spectrum(level_weights: ArrayLike, level_signal: ArrayLike, *, dim: int) -> KernelSpectrum:
    r"""Spectrum of a dot-product kernel on the cube :math:`\{-1, 1\}^d`, whose modes are products of coordinates.

    Level l = 0, 1, ... holds :math:`\binom{d}{l}` modes, which share a kernel weight :math:`c_l` and a signal
    :math:`s_l`: eigenvalue and squared coefficient of each are these divided by the number of modes. Costs O(levels).

    Parameters
    ----------
    level_weights, level_signal : array_like, shape (levels,)
        c >= 0 and s >= 0, for at most d + 1 levels.
    dim : int
        d >= 1.

    Returns
    -------
    KernelSpectrum

    Raises
    ------
    ValueError
        If a number is negative, shapes differ, or there are more levels than the cube has.

    Examples
    --------
    >>> cube_spectrum([0.0, 1.0, 1.0], [0.0, 1.0, 0.0], dim=4).multiplicities.round()
    array([1., 4., 6.])
    """
    d = integer("dim", dim, minimum=1)
    weights = nonnegative("level_weights", level_weights, ndim=1)
    signal = nonnegative("level_signal", level_signal, ndim=1)
    if weights.shape != signal.shape or len(weights) > d + 1:
        raise ValueError(
            f"level_weights and level_signal must have one entry for each of at most {d + 1} levels; "
            f"got shapes {weights.shape} and {signal.shape}"
        )
    level = np.arange(len(weights))
    many = np.exp(gammaln(d + 1.0) - gammaln(level + 1.0) - gammaln(d - level + 1.0))
    return KernelSpectrum(weights / many, signal / many, many)
