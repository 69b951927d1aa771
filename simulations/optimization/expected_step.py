r"""SGD's second moment without sampling: every batch that could be drawn, taken with its probability.

The mean over all batches of :math:`(I - \eta H_B)\, A\, (I - \eta H_B)` is a linear map of A; its matrix is assembled
batch by batch, and the step size at which its largest eigenvalue passes 1 is bisected.
"""

from itertools import product
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike
from jaxtyping import Float

from simulations import validation
from simulations.replicates import over_replicates

MAX_BATCHES = 20_000


class WeightedFeatures(NamedTuple):
    """Samples with their probabilities: ``features`` (n, d) and ``weights`` (n,), which sum to 1."""

    features: Float[Array, "n d"]
    weights: Float[Array, " n"]


def gaussian_nodes(eigenvalues: ArrayLike) -> WeightedFeatures:
    r"""Return weighted samples that have all moments of N(0, diag(eigenvalues)) up to the fifth: 3^d of them.

    Gauss and Hermite's rule of three points in every direction. One step of SGD is a polynomial of degree 4 in each
    sample of its batch, so that these samples in place of Gaussian ones change nothing about its second moment.

    Parameters
    ----------
    eigenvalues : array_like, shape (d,)
        Nonnegative.

    Raises
    ------
    ValueError
        If an eigenvalue is negative or not finite.
    """
    scales = jnp.sqrt(validation.nonnegative("eigenvalues", eigenvalues, ndim=1))
    places = np.array(list(product(range(3), repeat=scales.shape[0])))
    return WeightedFeatures(
        features=jnp.asarray(np.array([-np.sqrt(3), 0.0, np.sqrt(3)])[places]) * scales,
        weights=jnp.asarray(np.array([1 / 6, 2 / 3, 1 / 6])[places].prod(axis=1)),
    )


def expected_step_matrix(
    features: Float[Array, "n d"], weights: Float[Array, " n"], batches: Array, rate: ArrayLike
) -> Float[Array, "d*d d*d"]:
    """Return the matrix of the expected step on row-major vec(A), over ``batches`` of sample indices (K, B)."""
    features, weights = jnp.asarray(features), jnp.asarray(weights)
    d = features.shape[1]

    def add(total: Array, batch: Array) -> tuple[Array, None]:
        x = features[batch]
        step = jnp.eye(d) - rate * x.T @ x / batch.shape[0]
        return total + jnp.prod(weights[batch]) * jnp.kron(step, step), None

    return jax.lax.scan(add, jnp.zeros((d * d, d * d)), batches)[0]


def exact_mean_square_threshold(
    features: ArrayLike, *, weights: ArrayLike | None = None, batch_size: int = 1, n_bisections: int = 48
) -> Float[np.ndarray, " S"]:
    r"""Step sizes at which the second moment of SGD on a linear model stops shrinking, for many sets of features.

    Batches are drawn with replacement; all n^B of them are enumerated. Bisected from 0 to 4 over the top eigenvalue of
    the mean Hessian, where the mean displacement alone grows threefold a step. Costs O(n^B d^4 + d^6) a bisection.

    Parameters
    ----------
    features : array_like, shape (S, n, d)
        Every set must span all d dimensions: a direction without curvature never shrinks.
    weights : array_like, shape (n,), optional
        Probabilities of the samples, equal when left out.
    batch_size : int
        B >= 1 with n^B at most 20 000.
    n_bisections : int

    Returns
    -------
    array, shape (S,)

    Raises
    ------
    ValueError
        If shapes disagree, features do not span their space, or there are too many batches.
    """
    x = validation.finite("features", features, ndim=3)
    _, n, d = x.shape
    B = validation.integer("batch_size", batch_size, minimum=1)
    halvings = validation.integer("n_bisections", n_bisections, minimum=1)
    if n**B > MAX_BATCHES:
        raise ValueError(f"batch_size must keep n^B at most {MAX_BATCHES}; got {n}^{B}")
    p = validation.positive("weights", jnp.full(n, 1 / n) if weights is None else weights, ndim=1)
    if p.shape[0] != n or abs(float(p.sum()) - 1) > 1e-9:
        raise ValueError(f"weights must be {n} numbers that sum to 1; got {p.shape[0]} that sum to {float(p.sum()):g}")
    if (np.linalg.matrix_rank(np.asarray(x)) < d).any():
        raise ValueError(f"features must span all {d} dimensions in every set")
    batches = jnp.asarray(list(product(range(n), repeat=B)))
    return over_replicates(_threshold, x, p, batches, halvings)


def _threshold(x: Array, weights: Array, batches: Array, halvings: int) -> Array:
    top = jnp.linalg.eigvalsh((weights[:, None] * x).T @ x)[-1]

    def halve(_: Array, ends: tuple[Array, Array]) -> tuple[Array, Array]:
        middle = 0.5 * (ends[0] + ends[1])
        grows = jnp.linalg.eigvalsh(expected_step_matrix(x, weights, batches, middle))[-1] > 1
        return jnp.where(grows, ends[0], middle), jnp.where(grows, middle, ends[1])

    low, high = jax.lax.fori_loop(0, halvings, halve, (jnp.zeros(()), 4 / top))
    return 0.5 * (low + high)
