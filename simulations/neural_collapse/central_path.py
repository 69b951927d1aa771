"""Features that flow while the head is always optimal: the central path and the speed of collapse along it.

Units of Tirer, Huang and Niles-Weed: squared loss with decays lambda_W / K on the head and lambda_H / (K n) on the
features, balanced classes, no bias.
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
from simulations.replicates import over_replicates

CHUNK = 256  # paths integrated at the same time


class Variability(NamedTuple):
    """Traces of the covariances within and between classes."""

    within: Float[Array, "..."]
    between: Float[Array, "..."]


class CentralPath(NamedTuple):
    """Along the path, times on the first axis (after instances): variability, and the eliminated loss."""

    variability: Variability
    loss: Float[Array, "... times"]


def variability(features: Float[Array, "dim samples"], num_classes: int) -> Variability:
    """Tr Sigma_W and Tr Sigma_B of features whose columns are ordered by class, classes of equal size."""
    grouped = features.reshape(features.shape[0], num_classes, -1)
    means = grouped.mean(axis=2)
    within = jnp.sum((grouped - means[:, :, None]) ** 2) / features.shape[1]
    return Variability(within, jnp.sum((means - means.mean(axis=1, keepdims=True)) ** 2) / num_classes)


def eliminated_loss(
    features: Float[Array, "dim samples"], num_classes: int, weight_decay: ArrayLike, feature_decay: ArrayLike
) -> Float[Array, ""]:
    """Loss of the features with the head that is best for them, found by solving its normal equations."""
    d, samples = features.shape
    n = samples // num_classes
    labels = jnp.repeat(jnp.eye(num_classes), n, axis=1)
    ridge = n * jnp.asarray(weight_decay)
    head = jnp.linalg.solve(features @ features.T + ridge * jnp.eye(d), features @ labels.T).T
    penalty = ridge * jnp.sum(head**2) + feature_decay * jnp.sum(features**2)
    return (jnp.sum((head @ features - labels) ** 2) + penalty) / (2 * samples)


def central_path(
    features: ArrayLike,
    *,
    num_classes: int,
    weight_decay: ArrayLike,
    feature_decay: ArrayLike,
    times: ArrayLike | Sequence[float],
) -> CentralPath:
    r"""Integrate :math:`\dot H = -K n \nabla_H \min_W f(W, H)` by automatic differentiation of the eliminated loss.

    Parameters
    ----------
    features : array_like, shape (d, K n) or (R, d, K n)
        Start, or R starts; columns ordered by class.
    num_classes : int
        K >= 2, a divisor of the number of columns.
    weight_decay : float
        lambda_W > 0.
    feature_decay : float
        lambda_H >= 0.
    times : array_like, shape (T,)
        Nonnegative and increasing.

    Returns
    -------
    CentralPath
        With axes (T,) or (R, T).

    Raises
    ------
    ValueError
        If an argument is out of range.
    RuntimeError
        If the integrator gives up.
    """
    h, k, lam_w, lam_h = _check(features, num_classes, weight_decay, feature_decay)
    moments = check_times(times)
    starts = h.reshape(-1, *h.shape[-2:])
    result = require_finished(
        over_replicates(_path, starts, k, lam_w, lam_h, moments, chunk_size=min(CHUNK, len(starts)))
    )
    return result if h.ndim == 3 else jax.tree.map(lambda leaf: leaf[0], result)


def path_endpoint(
    features: ArrayLike, *, num_classes: int, weight_decay: ArrayLike, feature_decay: ArrayLike, time: ArrayLike
) -> Float[Array, "dim samples"]:
    """Features (d, K n) at one time > 0 of the path of :func:`central_path`."""
    h, k, lam_w, lam_h = _check(features, num_classes, weight_decay, feature_decay)
    if h.ndim != 2:
        raise ValueError(f"features must have 2 dimensions; got shape {h.shape}")
    return require_finished(_endpoint(h, k, lam_w, lam_h, validation.positive("time", time, ndim=0)[None]))


def variability_rates(
    features: ArrayLike, *, num_classes: int, weight_decay: ArrayLike, feature_decay: ArrayLike
) -> Variability:
    """Time derivatives of Tr Sigma_W and Tr Sigma_B at time 0 of the path of :func:`central_path`.

    Forward-mode derivatives along the velocity, itself an automatic gradient of the eliminated loss. Features may
    have a leading axis of instances.
    """
    h, k, lam_w, lam_h = _check(features, num_classes, weight_decay, feature_decay)
    rates = _rates(h.reshape(-1, *h.shape[-2:]), k, lam_w, lam_h)
    return rates if h.ndim == 3 else jax.tree.map(lambda leaf: leaf[0], rates)


def _check(
    features: ArrayLike, num_classes: int, weight_decay: ArrayLike, feature_decay: ArrayLike
) -> tuple[Array, int, Array, Array]:
    h = validation.finite("features", features)
    k = validation.integer("num_classes", num_classes, minimum=2)
    if h.ndim not in (2, 3) or h.shape[-1] == 0 or h.shape[-1] % k:
        raise ValueError(f"features must have shape (d, K n) or (R, d, K n) with K = num_classes = {k}; got {h.shape}")
    lam_w = validation.positive("weight_decay", weight_decay, ndim=0)
    return h, k, lam_w, validation.nonnegative("feature_decay", feature_decay, ndim=0)


def _velocity(h: Array, k: int, lam_w: Array, lam_h: Array) -> Array:
    return -h.shape[1] * jax.grad(eliminated_loss)(h, k, lam_w, lam_h)


def _path(h: Array, k: int, lam_w: Array, lam_h: Array, times: Array) -> CentralPath:
    def observe(now: Array) -> CentralPath:
        return CentralPath(variability(now, k), eliminated_loss(now, k, lam_w, lam_h))

    return integrate(lambda now: _velocity(now, k, lam_w, lam_h), h, times, observe)


@eqx.filter_jit
def _endpoint(h: Array, k: int, lam_w: Array, lam_h: Array, times: Array) -> Array:
    return integrate(lambda now: _velocity(now, k, lam_w, lam_h), h, times, lambda now: now)[-1]


@eqx.filter_jit
def _rates(h: Array, k: int, lam_w: Array, lam_h: Array) -> Variability:
    def one(now: Array) -> Variability:
        return jax.jvp(lambda x: variability(x, k), (now,), (_velocity(now, k, lam_w, lam_h),))[1]

    return jax.vmap(one)(h)
