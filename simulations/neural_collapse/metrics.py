"""Statistics of collapse on features and heads, as the simulations measure them."""

from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float, Int

from simulations.neural_collapse.readouts import class_means

RELATIVE_CUTOFF = 1e-6


class CollapseMetrics(NamedTuple):
    """The four properties of collapse, as numbers that vanish with them; see :func:`collapse_metrics`."""

    nc1: Float[Array, "..."]
    nc1_trace: Float[Array, "..."]
    nc2_etf: Float[Array, "..."]
    nc2_orthogonal: Float[Array, "..."]
    nc2_classifier_etf: Float[Array, "..."]
    nc3: Float[Array, "..."]
    nc4: Float[Array, "..."]


@eqx.filter_jit
def collapse_metrics(
    features: Float[Array, "... dim samples"],
    labels: Int[Array, " samples"],
    head: Float[Array, "... classes dim"],
    bias: Float[Array, "... classes"] | None = None,
    *,
    centred: bool = True,
) -> CollapseMetrics:
    """Metrics of Papyan, Han and Donoho for features and a linear head, leading axes (times, say) kept.

    Means are centred at the mean of the class means, whatever the class sizes; nc1 is the trace of the within-class
    covariance times the pseudo-inverse of that of the class means, over K; nc2 and nc3 are Frobenius distances between
    matrices of unit norm, nc3 with centred means or with the means as they are; nc4 is the share of samples on which
    the head and the nearest class mean disagree. Every class must have a sample.
    """
    k = head.shape[-2]
    means = class_means(features, labels, k)
    deviations = features - means[..., labels]
    centre = jnp.mean(means, axis=-1, keepdims=True)
    spokes = means - centre
    # nc1 in the singular basis of the centred means: the pseudo-inverse then only divides.
    left, lengths, _ = jnp.linalg.svd(spokes, full_matrices=False)
    kept = lengths**2 > RELATIVE_CUTOFF * lengths[..., :1] ** 2
    seen = jnp.sum((_t(left) @ deviations) ** 2, axis=-1) / labels.shape[0]
    nc1 = jnp.sum(jnp.where(kept, seen / jnp.where(kept, lengths**2, 1.0), 0.0), axis=-1)
    simplex = jnp.eye(k) - 1 / k
    distances = jnp.sum((features[..., :, None, :] - means[..., :, :, None]) ** 2, axis=-3)
    scores = head @ features if bias is None else head @ features + bias[..., :, None]
    return CollapseMetrics(
        nc1=nc1,
        nc1_trace=jnp.sum(deviations**2, axis=(-2, -1)) / labels.shape[0] * k / jnp.sum(spokes**2, axis=(-2, -1)),
        nc2_etf=angle_distance(_t(spokes) @ spokes, simplex),
        nc2_orthogonal=angle_distance(_t(means) @ means, jnp.eye(k)),
        nc2_classifier_etf=angle_distance(head @ _t(head), simplex),
        nc3=angle_distance(head, _t(spokes if centred else means)),
        nc4=jnp.mean(jnp.argmax(scores, axis=-2) != jnp.argmin(distances, axis=-2), axis=-1, dtype=features.dtype),
    )


def angle_distance(first: Float[Array, "... rows columns"], second: Array) -> Float[Array, "..."]:
    """Frobenius distance of two matrices after each is divided by its norm."""
    return _norm(first / _norm(first)[..., None, None] - second / _norm(second)[..., None, None])


def _norm(matrix: Array) -> Array:
    return jnp.sqrt(jnp.sum(matrix**2, axis=(-2, -1)))


def _t(matrix: Array) -> Array:
    return jnp.swapaxes(matrix, -1, -2)
