"""What is read off factors: singular values, Gram matrices, spread, and identities between neighbouring layers.

Every function takes factors with any leading axes (starts, decays, times) and keeps them.
"""

from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float, Int

from simulations.neural_collapse.model import Factors, FeatureModel, logits


class Geometry(NamedTuple):
    """Geometry of a head over features, class by class.

    Attributes
    ----------
    means : array, shape (..., d, K)
        Class means of the features.
    feature_gram : array, shape (..., K, K)
        Inner products of the class means.
    classifier_gram : array, shape (..., K, K)
        W W^T of the head's product W.
    alignment : array, shape (..., K, K)
        W times the class means.
    spread : array, shape (...)
        Largest distance of a sample from its class mean.
    """

    means: Float[Array, "... dim classes"]
    feature_gram: Float[Array, "... classes classes"]
    classifier_gram: Float[Array, "... classes classes"]
    alignment: Float[Array, "... classes classes"]
    spread: Float[Array, "..."]


def head_product(weights: tuple[Array, ...]) -> Float[Array, "... classes dim"]:
    """Product W_M ... W_1 of the layers."""
    product = weights[-1]
    for weight in weights[-2::-1]:
        product = product @ weight
    return product


@eqx.filter_jit
def class_means(
    features: Float[Array, "... dim samples"], labels: Int[Array, " samples"], num_classes: int
) -> Float[Array, "... dim classes"]:
    """Means of the features of each class."""
    members = (labels[:, None] == jnp.arange(num_classes)).astype(features.dtype)
    return features @ (members / members.sum(axis=0))


@eqx.filter_jit
def geometry(
    features: Float[Array, "... dim samples"], labels: Int[Array, " samples"], head: Float[Array, "... classes dim"]
) -> Geometry:
    """Gram matrices of class means and head, their product, and the spread within classes."""
    means = class_means(features, labels, head.shape[-2])
    deviations = features - means[..., labels]
    return Geometry(
        means=means,
        feature_gram=_transpose(means) @ means,
        classifier_gram=head @ _transpose(head),
        alignment=head @ means,
        spread=jnp.sqrt(jnp.max(jnp.sum(deviations**2, axis=-2), axis=-1)),
    )


@eqx.filter_jit
def product_singular_values(factors: Factors, model: FeatureModel) -> Float[Array, "... classes"]:
    """Singular values of the outputs on all samples, the bias left out, descending."""
    return _singular_values(logits(factors._replace(bias=None), model), model.num_classes)


@eqx.filter_jit
def layer_singular_values(factors: Factors, model: FeatureModel) -> Float[Array, "... factors classes"]:
    """Return the K largest singular values of H, W_1, ..., W_M, descending, filled up with zeros."""
    matrices = (factors.features, *factors.weights)
    return jnp.stack([_singular_values(matrix, model.num_classes) for matrix in matrices], axis=-2)


@eqx.filter_jit
def class_logits(factors: Factors, model: FeatureModel) -> Float[Array, "... classes classes"]:
    """Average the outputs over each class, one class a column, bias included."""
    return class_means(logits(factors, model), model.labels, model.num_classes)


@eqx.filter_jit
def neighbouring_products(
    factors: Factors, model: FeatureModel
) -> tuple[tuple[Float[Array, "..."], Float[Array, "..."]], ...]:
    """For each space between two factors, decay times Gram matrix as seen from the output side and the feature side.

    That is (lam_1 W_1^T W_1, lam_H H H^T), (lam_2 W_2^T W_2, lam_1 W_1 W_1^T), and so on. A linear head only.
    """
    chain = (factors.features, *factors.weights)
    decays = tuple(model.decays)
    return tuple(
        (outer_decay * _transpose(outer) @ outer, inner_decay * inner @ _transpose(inner))
        for outer, inner, outer_decay, inner_decay in zip(chain[1:], chain[:-1], decays[1:], decays[:-1], strict=True)
    )


@eqx.filter_jit
def last_layer_products(
    factors: Factors, model: FeatureModel
) -> tuple[Float[Array, "... classes classes"], Float[Array, "... classes classes"]]:
    """lam_M W_M W_M^T, and (Y - Z - b 1^T) Z^T / N with Z the outputs before the bias; squared loss only."""
    before_bias = logits(factors._replace(bias=None), model)
    residual = model.targets - logits(factors, model)
    last = factors.weights[-1]
    return model.decays[-1] * last @ _transpose(last), residual @ _transpose(before_bias) / residual.shape[-1]


def _singular_values(matrix: Array, count: int) -> Array:
    values = jnp.linalg.svd(matrix, compute_uv=False)[..., :count]
    missing = count - values.shape[-1]
    return jnp.pad(values, [(0, 0)] * (values.ndim - 1) + [(0, missing)])


def _transpose(matrix: Array) -> Array:
    return jnp.swapaxes(matrix, -1, -2)
