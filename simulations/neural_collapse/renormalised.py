"""The renormalised central path on full matrices: features flow while their covariance within classes stays put.

The loss of the features is that of the best affine least-squares head. Its gradient is projected on the features
whose within-class covariance does not change to first order, which is what is left of gradient flow when features are
renormalised at every instant.
"""

from collections.abc import Sequence
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike
from jaxtyping import Float

from simulations import validation
from simulations.neural_collapse.integrate import check_times, integrate, require_finished


class RenormalisedPath(NamedTuple):
    """Along the path, times on the first axis.

    Attributes
    ----------
    signal : array, shape (T, r)
        Singular values of the centred class means after whitening within classes, descending, r = min(d, K - 1).
    turned : array, shape (T,)
        How far their singular vectors have turned: largest entry, off the diagonal, of the means seen in the singular
        vectors of time 0, relative to the largest singular value.
    loss : array, shape (T,)
        Loss of the best head.
    covariance_drift : array, shape (T,)
        Largest change of an entry of the within-class covariance.
    means : array, shape (T, d, K)
        Centred class means after whitening within classes.
    """

    signal: Float[Array, "times modes"]
    turned: Float[Array, " times"]
    loss: Float[Array, " times"]
    covariance_drift: Float[Array, " times"]
    means: Float[Array, "times dim classes"]


def whitened_features(
    key: Array, num_classes: int, samples_per_class: int, dim: int, *, signal: ArrayLike
) -> Float[Array, "dim samples"]:
    """Random features whose within-class covariance is the identity and whose centred means have the given spectrum.

    Parameters
    ----------
    key : array
        JAX key.
    num_classes, samples_per_class, dim : int
        K >= 2, n >= 2 and d >= 1 with d <= K (n - 1), so that deviations can span the space.
    signal : array_like, shape (r,)
        Nonnegative singular values, at most min(d, K - 1) of them, the rest zero.

    Raises
    ------
    ValueError
        If an argument is out of range.
    """
    k = validation.integer("num_classes", num_classes, minimum=2)
    n = validation.integer("samples_per_class", samples_per_class, minimum=2)
    d = validation.integer("dim", dim, minimum=1)
    w = validation.nonnegative("signal", signal, ndim=1)
    if d > k * (n - 1):
        raise ValueError(f"dim must be at most num_classes (samples_per_class - 1) = {k * (n - 1)}; got {d}")
    if w.shape[0] > min(d, k - 1):
        raise ValueError(f"signal must have at most {min(d, k - 1)} entries; got {w.shape[0]}")
    noise_key, left_key, right_key = jax.random.split(key, 3)
    grouped = jax.random.normal(noise_key, (d, k, n))
    noise = (grouped - grouped.mean(axis=2, keepdims=True)).reshape(d, k * n)
    noise = jnp.sqrt(k * n) * jnp.linalg.qr(noise.T)[0].T
    left = jnp.linalg.qr(jax.random.normal(left_key, (d, w.shape[0])))[0]
    classes = jax.random.normal(right_key, (k, w.shape[0]))
    right = jnp.linalg.qr(classes - classes.mean(axis=0))[0]
    return noise + jnp.repeat((left * w) @ right.T, n, axis=1)


def least_squares_loss(features: Float[Array, "dim samples"], num_classes: int) -> Float[Array, ""]:
    """Mean over samples of half the squared error of the best affine head, divided by K."""
    labels = jnp.repeat(jnp.eye(num_classes), features.shape[1] // num_classes, axis=1)
    x = features - features.mean(axis=1, keepdims=True)
    y = labels - labels.mean(axis=1, keepdims=True)
    head = jnp.linalg.solve(x @ x.T, x @ y.T).T
    return jnp.sum((y - head @ x) ** 2) / (2 * features.shape[1])


def renormalised_path(features: ArrayLike, *, num_classes: int, times: ArrayLike | Sequence[float]) -> RenormalisedPath:
    r"""Integrate the projected flow :math:`\dot H = -\Pi_H \nabla_H L` of all K n features.

    Pi takes out :math:`S E` with S symmetric, E the deviations from the class means, which is the part of the gradient
    that would change :math:`E E^T`. The flow conserves that covariance; it starts from the identity.

    Parameters
    ----------
    features : array_like, shape (d, K n)
        Start, columns ordered by class, with within-class covariance equal to the identity
        (:func:`whitened_features` makes such).
    num_classes : int
        K >= 2.
    times : array_like, shape (T,)
        Nonnegative and increasing, of the flow of the features (that of the class means alone is n times faster).

    Returns
    -------
    RenormalisedPath

    Raises
    ------
    ValueError
        If an argument is out of range or the covariance is not the identity.
    RuntimeError
        If the integrator gives up.
    """
    h = validation.finite("features", features, ndim=2)
    k = validation.integer("num_classes", num_classes, minimum=2)
    if h.shape[1] == 0 or h.shape[1] % k:
        raise ValueError(f"features must have a multiple of num_classes = {k} columns; got shape {h.shape}")
    error = jnp.max(jnp.abs(_covariance(h, k) - jnp.eye(h.shape[0])))
    if error > 1e-10:
        raise ValueError(f"features must have the identity for within-class covariance; it is off by {error:.2g}")
    return require_finished(_path(h, k, check_times(times)))


def _parts(h: Array, k: int) -> tuple[Array, Array]:
    grouped = h.reshape(h.shape[0], k, -1)
    means = grouped.mean(axis=2)
    return means, (grouped - means[:, :, None]).reshape(h.shape)


def _covariance(h: Array, k: int) -> Array:
    _, deviations = _parts(h, k)
    return deviations @ deviations.T / h.shape[1]


def _whitened_means(h: Array, k: int) -> Array:
    means, _ = _parts(h, k)
    values, vectors = jnp.linalg.eigh(_covariance(h, k))
    centred = means - means.mean(axis=1, keepdims=True)
    return vectors @ ((vectors.T @ centred) / jnp.sqrt(values)[:, None])


@eqx.filter_jit
def _path(h: Array, k: int, times: Array) -> RenormalisedPath:
    rank = min(h.shape[0], k - 1)
    left, _, right = jnp.linalg.svd(_whitened_means(h, k), full_matrices=False)
    initial = _covariance(h, k)

    def velocity(now: Array) -> Array:
        gradient = jax.grad(least_squares_loss)(now, k)
        _, deviations = _parts(now, k)
        _, within = _parts(gradient, k)
        mixed = within @ deviations.T / h.shape[1]
        # With covariance C the symmetric S solves S C + C S = mixed + mixed^T.
        values, vectors = jnp.linalg.eigh(deviations @ deviations.T / h.shape[1])
        rotated = vectors.T @ (mixed + mixed.T) @ vectors / (values[:, None] + values)
        return -(gradient - vectors @ rotated @ vectors.T @ deviations)

    def observe(now: Array) -> RenormalisedPath:
        means = _whitened_means(now, k)
        signal = jnp.linalg.svd(means, compute_uv=False)[:rank]
        seen = (left.T @ means @ right.T)[:rank, :rank]
        return RenormalisedPath(
            signal=signal,
            turned=jnp.max(jnp.abs(seen - jnp.diag(jnp.diagonal(seen)))) / signal[0],
            loss=least_squares_loss(now, k),
            covariance_drift=jnp.max(jnp.abs(_covariance(now, k) - initial)),
            means=means,
        )

    return integrate(velocity, h, times, observe)
