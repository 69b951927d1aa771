"""Hermite features of Gaussian inputs, averaged over inputs by quadrature that is exact for polynomials."""

import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike
from jaxtyping import Float

from simulations import validation


def hermite_features(z: Array, degree: int, *, orthonormal: bool = True) -> Array:
    """Evaluate Hermite polynomials of degree 0, ..., ``degree`` along a new last axis, by their recurrence."""
    found = [jnp.ones_like(z), z]
    for k in range(1, degree):
        found.append(z * found[k] - k * found[k - 1])
    values = jnp.stack(found[: degree + 1], axis=-1)
    if not orthonormal:
        return values
    return values / np.sqrt(np.cumprod(np.maximum(np.arange(degree + 1), 1.0)))


def hermite_gram(
    directions: Float[ArrayLike, "N d"], *, degree: int, orthonormal: bool = True
) -> Float[Array, "N N degree+1 degree+1"]:
    """Average products of the features of inputs' projections on unit vectors, for all pairs of vectors and degrees.

    Inputs are standard normal in d dimensions, and averaged by a product of Gauss-Hermite rules of degree + 1 nodes.
    Costs O((degree + 1)^d N^2 degree^2).
    """
    w = validation.finite("directions", directions, ndim=2)
    number = validation.integer("degree", degree, minimum=0)
    nodes, weights = np.polynomial.hermite_e.hermegauss(number + 1)
    grids = np.meshgrid(*[nodes] * w.shape[1], indexing="ij")
    x = np.stack([g.ravel() for g in grids], axis=-1)
    shares = np.meshgrid(*[weights / weights.sum()] * w.shape[1], indexing="ij")
    features = hermite_features(jnp.asarray(x) @ w.T, number, orthonormal=orthonormal)
    return jnp.einsum("x,xik,xjl->ijkl", np.prod(shares, axis=0).ravel(), features, features)
