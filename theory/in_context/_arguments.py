"""Argument checks that the solvers of trained attention share: covariances, and lengths that may be infinite."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from theory.validation import finite, integer, nonnegative, same_shape

Array = NDArray[np.float64]

_ASYMMETRY = 1e-10  # relative to the largest entry


def covariance(name: str, value: ArrayLike) -> Array:
    """Return ``value`` as a symmetric positive definite matrix, or raise ValueError."""
    matrix = _symmetric(name, value)
    smallest = float(np.linalg.eigvalsh(matrix)[0])
    if not smallest > 0:
        raise ValueError(f"{name} must be positive definite; its smallest eigenvalue is {smallest:g}")
    return matrix


def semidefinite(name: str, value: ArrayLike) -> Array:
    """Return ``value`` as a symmetric positive semidefinite matrix other than zero, or raise ValueError."""
    matrix = _symmetric(name, value)
    eigenvalues = np.linalg.eigvalsh(matrix)
    if eigenvalues[0] < -_ASYMMETRY * np.abs(eigenvalues).max() or not eigenvalues[-1] > 0:
        raise ValueError(f"{name} must be positive semidefinite and not zero; got eigenvalues {eigenvalues}")
    return matrix


def square(name: str, value: ArrayLike, dim: int) -> Array:
    """Return ``value`` as a finite matrix of shape (dim, dim), or raise ValueError."""
    matrix = finite(name, value, ndim=2)
    if matrix.shape != (dim, dim):
        raise ValueError(f"{name} must have shape {(dim, dim)}; got {matrix.shape}")
    return matrix


def like(name: str, value: ArrayLike | None, reference: Array) -> Array:
    """Return ``value`` as a covariance of the size of ``reference``, which stands in where none is given."""
    return reference if value is None else same_shape(name, covariance(name, value), "cov", reference)


def length(name: str, value: float) -> float:
    """Return a number of examples as a float >= 1; infinity is allowed, other fractions are not."""
    if isinstance(value, float) and value == np.inf:
        return np.inf
    return float(integer(name, value, minimum=1))  # type: ignore[arg-type]


def noise(value: float) -> float:
    """Return ``noise_var`` as one finite float >= 0."""
    return float(nonnegative("noise_var", value, ndim=0))


def _symmetric(name: str, value: ArrayLike) -> Array:
    matrix = finite(name, value, ndim=2)
    if matrix.shape[0] != matrix.shape[1] or matrix.size == 0:
        raise ValueError(f"{name} must be a square matrix; got shape {matrix.shape}")
    if np.abs(matrix - matrix.T).max() > _ASYMMETRY * np.abs(matrix).max():
        raise ValueError(
            f"{name} must be symmetric; it differs from its transpose by {np.abs(matrix - matrix.T).max():g}"
        )
    return (matrix + matrix.T) / 2
