"""What one looks at in trained weights: modes, couplings, conserved quantities, distances; plain linear algebra."""

from itertools import pairwise

import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike
from jaxtyping import Float

from simulations.deep_linear.networks import Weights, product, unstack_layers


def mode_strengths(
    weights: Weights, u: Float[ArrayLike, "outputs modes"], v: Float[ArrayLike, "inputs modes"]
) -> Float[Array, " modes"]:
    r"""Diagonal of :math:`U^T W V`, for W the network's product and one task mode in each column of U and V."""
    return jnp.einsum("ok,oi,ik->k", jnp.asarray(u), product(weights), jnp.asarray(v))


def mode_coupling(
    weights: Weights, u: Float[ArrayLike, "outputs modes"], v: Float[ArrayLike, "inputs modes"]
) -> Float[Array, ""]:
    r"""Largest off-diagonal entry of :math:`U^T W V` in magnitude: 0 when every mode keeps to itself."""
    modes = jnp.asarray(u).T @ product(weights) @ jnp.asarray(v)
    return jnp.max(jnp.abs(modes - jnp.diag(jnp.diagonal(modes))))


def singular_values(weights: Weights) -> Float[Array, " modes"]:
    """Singular values of the network's product, largest first."""
    return jnp.linalg.svd(product(weights), compute_uv=False)


def conserved_quantities(weights: Weights) -> tuple[Float[Array, "width width"], ...]:
    r"""Differences :math:`W_{l+1}^T W_{l+1} - W_l W_l^T`, one for each of the D - 1 hidden layers."""
    layers = unstack_layers(weights)
    return tuple(above.T @ above - below @ below.T for below, above in pairwise(layers))


def conserved_vector(weights: Weights) -> Float[Array, " entries"]:
    """Entries of all conserved quantities in one vector; empty at depth 1."""
    quantities = conserved_quantities(weights)
    return jnp.concatenate([jnp.zeros(0), *(jnp.ravel(q) for q in quantities)])


def gram(weights: Weights) -> Float[Array, "total total"]:
    r"""Two layers: :math:`Q Q^T` of :math:`Q = [W_1^T; W_2]`, whose lower left block is the product.

    Raises
    ------
    ValueError
        If the network does not have exactly two layers.
    """
    layers = unstack_layers(weights)
    if len(layers) != 2:
        raise ValueError(f"weights must have two layers; got {len(layers)}")
    q = jnp.concatenate([layers[0].T, layers[1]])
    return q @ q.T


def distance(weights: Weights, other: Weights) -> Float[Array, ""]:
    """Euclidean distance between two sets of weights of the same form."""
    return jnp.sqrt(sum((jnp.sum((a - b) ** 2) for a, b in zip(weights, other, strict=True)), start=jnp.zeros(())))
