"""Gaussian learning problems: samples drawn and models fitted, and laws pushed through the learner's linear map."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array


def location_losses(key: Array, n: int, d: int, sigma: Array, noise_std: Array) -> Array:
    """Release the noisy mean of a Gaussian sample once; return its squared loss in training and on n fresh points."""
    z_key, noise_key = jax.random.split(key)
    z = sigma * jax.random.normal(z_key, (2, n, d)) + jnp.arange(1, d + 1)
    released = z[0].mean(axis=0) + noise_std * jax.random.normal(noise_key, (d,))
    return jnp.mean(jnp.sum((z - released) ** 2, axis=-1), axis=-1)


class LocationNumbers(NamedTuple):
    """Information of the released mean on the sample and on one point, spread and gap of its squared loss."""

    full: Array
    individual: Array
    spread: Array
    gap: Array


def location_information(n: int, sigma: float, noise_std: float) -> LocationNumbers:
    """Informations from log-determinants of the covariance of (sample, released mean), in one dimension.

    The covariance is that of independent inputs, pushed through the Jacobian of the learner itself.
    """
    return _location_information(n, sigma, noise_std)


@partial(jax.jit, static_argnums=0)
def _location_information(n: int, sigma: Array, noise_std: Array) -> LocationNumbers:
    def outcome(inputs: Array) -> Array:
        z, noise = sigma * inputs[:n], noise_std * inputs[n]
        return jnp.append(z, z.mean() + noise)

    jacobian = jax.jacobian(outcome)(jnp.zeros(n + 1))
    covariance = jacobian @ jacobian.T

    def log_det(*index: int) -> Array:
        chosen = np.array(index)
        return jnp.linalg.slogdet(covariance[np.ix_(chosen, chosen)])[1]

    one = (log_det(0) + log_det(n) - log_det(0, n)) / 2
    everything = (log_det(*range(n)) + log_det(n) - log_det(*range(n + 1))) / 2
    spread = covariance[n, n] + sigma**2
    seen = covariance[n, n] + covariance[0, 0] - 2 * covariance[0, n]
    return LocationNumbers(everything, one, spread, spread - seen)


def class_mean_losses(key: Array, n: int, d: int, mean_norm: Array, sigma: Array, n_test: int) -> Array:
    """Fit the class-mean classifier once; return error rates on training and fresh points, then mean linear losses."""
    x_key, y_key = jax.random.split(key)
    y = jax.random.rademacher(y_key, (n + n_test,), dtype=float)
    mean = jnp.zeros(d).at[0].set(mean_norm)
    x = y[:, None] * mean + sigma * jax.random.normal(x_key, (n + n_test, d))
    fitted = (y[:n, None] * x[:n]).mean(axis=0)
    scores = y * (x @ fitted)
    parts = (scores[:n], scores[n:])
    return jnp.stack([jnp.mean(part < 0) for part in parts] + [-jnp.mean(part) for part in parts])


class LayerLaws(NamedTuple):
    """Divergence and squared Wasserstein distance between training and fresh points behind each layer, given M."""

    kl: Array
    wasserstein: Array


def layer_laws(key: Array, n: int, mean: Array, sigma: Array, maps: tuple[Array, ...]) -> LayerLaws:
    """Draw M once; condition the Gaussian law of (Y_1 X_1, M) on it, and compare with a fresh point behind every map.

    The joint covariance comes from the Jacobian of the sample mean; conditioning, divergence (on the range of the map)
    and distance (Bures) are done by linear algebra.
    """
    d = mean.shape[0]
    points = mean + sigma * jax.random.normal(key, (n, d))
    M = points.mean(axis=0)
    jacobian = jax.jacobian(lambda v: jnp.stack([v[0], v.mean()]))(jnp.zeros(n))
    covariance = sigma**2 * jacobian @ jacobian.T
    slope = covariance[0, 1] / covariance[1, 1]
    centre = mean + slope * (M - mean)
    variance = covariance[0, 0] - slope * covariance[0, 1]
    kl, distance = [], []
    for A in maps:
        S1, S2 = variance * A @ A.T, sigma**2 * A @ A.T
        shift = A @ (centre - mean)
        kl.append(_gaussian_kl(shift, S1, S2))
        distance.append(shift @ shift + _bures(S1, S2))
    return LayerLaws(jnp.stack(kl), jnp.stack(distance))


def _gaussian_kl(shift: Array, S1: Array, S2: Array) -> Array:
    """KL(N(shift, S1) || N(0, S2)) on the common range of both."""
    w, u = jnp.linalg.eigh(S2)
    kept = w > 1e-10 * w[-1]
    root = jnp.where(kept, 1 / jnp.sqrt(jnp.where(kept, w, 1.0)), 0.0)
    white = (u * root).T @ S1 @ (u * root)
    ratios = jnp.linalg.eigvalsh(white + jnp.diag(jnp.where(kept, 0.0, 1.0)))
    moved = (u * root).T @ shift
    return (moved @ moved + jnp.sum(ratios - 1 - jnp.log(ratios))) / 2


def _bures(S1: Array, S2: Array) -> Array:
    root = _root(S2)
    return jnp.trace(S1) + jnp.trace(S2) - 2 * jnp.trace(_root(root @ S1 @ root))


def _root(S: Array) -> Array:
    w, u = jnp.linalg.eigh(S)
    return (u * jnp.sqrt(jnp.maximum(w, 0.0))) @ u.T


def network_gap(
    key: Array,
    n: int,
    mean: Array,
    sigma: Array,
    features: Array,
    losses: tuple[Callable[[Array], Array], ...],
    n_test: int,
) -> Array:
    """Fit the last layer of a linear network by the class mean of its features once; return fresh less training losses.

    Losses are functions of the signed score y W_L T_{L-1}.
    """
    points = mean + sigma * jax.random.normal(key, (n + n_test, mean.shape[0]))
    hidden = points @ features.T
    scores = hidden @ hidden[:n].mean(axis=0)
    return jnp.stack([loss(scores[n:]).mean() - loss(scores[:n]).mean() for loss in losses])
