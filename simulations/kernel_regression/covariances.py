r"""Spectra of sample covariances: of drawn data, of data without end, and their moments counted one by one.

Data X, n by p, have independent normal rows; :math:`X^\top X / n` is the covariance, :math:`X X^\top / n` the Gram
matrix.
"""

from collections import Counter
from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike
from jaxtyping import Float, PRNGKeyArray
from numpy.typing import ArrayLike as NumbersLike
from numpy.typing import NDArray
from scipy.linalg import eigh_tridiagonal, solve_banded

from simulations import validation


def covariance_spectrum(
    key: PRNGKeyArray, variances: Float[ArrayLike, " p"], n: ArrayLike, rows: int, gram: bool = False
) -> Float[Array, " eigenvalues"]:
    """Draw n samples of independent normal features and return the eigenvalues of their covariance, rising.

    Those of the Gram matrix where ``gram`` is set. Data are drawn in ``rows`` rows of which the first n are kept, so
    that one program serves many sizes; other rows, and features of variance zero, add zeros in front. Costs O(rows p^2
    + p^3).
    """
    X = draw_samples(key, variances, n, rows)
    return jnp.linalg.eigvalsh((X @ X.T if gram else X.T @ X) / n)


def draw_samples(
    key: PRNGKeyArray, variances: Float[ArrayLike, " p"], n: ArrayLike, rows: int
) -> Float[Array, "rows p"]:
    """Draw n samples of independent normal features, and rows of zeros after them.

    Raises
    ------
    ValueError
        If a variance is negative, or n is not a whole number from 1 to ``rows``; so do all functions that draw samples.
    """
    validation.count("n", n, maximum=validation.integer("rows", rows, minimum=1))
    roots = jnp.sqrt(validation.nonnegative("variances", variances, ndim=1))
    return jax.random.normal(key, (rows, roots.size)) * roots * (jnp.arange(rows) < n)[:, None]


class SpectralMeans(NamedTuple):
    """Means over eigenvalues x: of 1 / (x - z), real and imaginary; of x^2; of ln x, zeros left out; share of zeros."""

    transform: Float[Array, "points 2"]
    square: Float[Array, ""]
    logarithm: Float[Array, ""]
    zeros: Float[Array, ""]


def spectral_means(
    key: PRNGKeyArray, variances: Float[ArrayLike, " p"], z: ArrayLike, n: ArrayLike, rows: int, gram: bool = False
) -> SpectralMeans:
    """Average over the spectrum of the covariance of drawn data, or of their Gram matrix; see `covariance_spectrum`."""
    x = covariance_spectrum(key, variances, n, rows, gram)
    number = n if gram else jnp.sum(jnp.asarray(variances) > 0)
    # what has been added to reach a common size has the eigenvalue zero
    added = x.size - number
    points = jnp.asarray(z, dtype=complex)
    transform = (jnp.sum(1 / (x - points[:, None]), axis=1) + added / points) / number
    zero = x < 1e-10
    logarithm = jnp.sum(jnp.where(zero, 0.0, jnp.log(jnp.where(zero, 1.0, x)))) / number
    return SpectralMeans(
        jnp.stack([transform.real, transform.imag], axis=-1),
        jnp.sum(x**2) / number,
        logarithm,
        (jnp.sum(zero) - added) / number,
    )


class EndlessCovariance(NamedTuple):
    """Diagonal and secondary diagonal of a tridiagonal matrix, its first rows."""

    diagonal: NDArray[np.float64]
    beside: NDArray[np.float64]


def endless_covariance(ratio: float, rows: int) -> EndlessCovariance:
    r"""Return what the covariance of n samples of p = g n uncorrelated features becomes as n grows, to so many rows.

    Reflections of rows and of columns make X bidiagonal, with independent chi variables: of n, n - 1, ... degrees of
    freedom on the diagonal and of p - 1, p - 2, ... beside it. Over :math:`\sqrt n` they tend to 1 and :math:`\sqrt g`.
    The first vector is any fixed direction of the features, along which every eigenvalue weighs the same on average.
    """
    g = float(validation.positive("ratio", ratio, ndim=0))
    size = validation.integer("rows", rows, minimum=2)
    above = np.full(size - 1, np.sqrt(g))
    return EndlessCovariance(1.0 + np.append(0.0, above**2), above)


def endless_resolvent(z: ArrayLike, ratio: float, rows: int, variance: float = 1.0) -> NDArray[np.complex128]:
    """First entry of (s C - z)^-1 for the endless covariance C, by elimination; z off the axis, or below the spectrum.

    What is cut off matters less by a factor exp(-2 Im(z) / sqrt(g)) a row, or so.
    """
    C = endless_covariance(ratio, rows)
    band = np.zeros((3, rows), dtype=complex)
    band[0, 1:] = band[2, :-1] = variance * C.beside
    first = np.zeros(rows)
    first[0] = 1.0
    found = []
    for point in np.ravel(np.asarray(z, dtype=complex)):
        band[1] = variance * C.diagonal - point
        found.append(solve_banded((1, 1), band, first)[0])
    return np.reshape(found, np.shape(z))


def endless_extremes(ratio: float, rows: int) -> NDArray[np.float64]:
    """Smallest and largest eigenvalue of the first rows of the endless covariance, its first row and column left out.

    Without these there is no eigenvalue outside of the continuous spectrum.
    """
    C = endless_covariance(ratio, rows + 1)
    size = rows - 1
    ends = [
        eigh_tridiagonal(C.diagonal[1:], C.beside[1:], eigvals_only=True, select="i", select_range=(i, i))[0]
        for i in (0, size)
    ]
    return np.array(ends)


def gram_moments(order: int, ratio: float, variances: NumbersLike, weights: NumbersLike) -> NDArray[np.float64]:
    r"""Limits of :math:`E\, \mathrm{tr} (X X^\top / n)^k / n` for k = 1 to ``order``, by counting.

    The mean over normal entries is a sum over all ways to pair the 2 k factors of the trace. Each leaves a number of
    free sums over samples, and of sums over features of powers of their variances; where both together are k + 1 it
    contributes in the limit, in which there are g n features, so many of each variance. There are (2 k - 1)!! ways.
    """
    s, w = np.asarray(variances, dtype=float), np.asarray(weights, dtype=float)
    found = []
    for k in range(1, validation.integer("order", order, minimum=1) + 1):
        total = 0.0
        for (samples, features), number in pairings(k).items():
            if samples + len(features) == k + 1:
                total += number * float(np.prod([ratio * (w @ s**power) for power in features]))
        found.append(total)
    return np.array(found)


@cache
def pairings(k: int) -> Counter[tuple[int, tuple[int, ...]]]:
    """Count the ways to pair the factors of tr (X X^T)^k by the sums they leave.

    Keys are the number of free sums over samples, and the powers of the variance in every sum over features.
    """
    return Counter(_sums(list(pairs), k) for pairs in _pairs(tuple(range(2 * k))))


def _pairs(free: tuple[int, ...]) -> Iterator[tuple[tuple[int, int], ...]]:
    if not free:
        yield ()
        return
    first, rest = free[0], free[1:]
    for i, other in enumerate(rest):
        for more in _pairs(rest[:i] + rest[i + 1 :]):
            yield ((first, other), *more)


def _sums(pairs: list[tuple[int, int]], k: int) -> tuple[int, tuple[int, ...]]:
    """Merge the indices that pairs of factors identify: factor 2j is X[i_j, a_j], the next one X[i_(j+1), a_j]."""
    samples, features = list(range(k)), list(range(k))
    for one, other in pairs:
        for labels, of in ((samples, lambda f: ((f + 1) // 2) % k), (features, lambda f: f // 2)):
            a, b = labels[of(one)], labels[of(other)]
            for i in range(k):
                if labels[i] == b:
                    labels[i] = a
    return len(set(samples)), tuple(sorted(Counter(features).values()))
