"""Learning from bags as done: samples drawn and bagged, means of their labels published, least squares solved."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike
from jaxtyping import Float, PRNGKeyArray

from simulations import validation
from simulations.kernel_regression._quadratic import minimise_quadratic


class BagLosses(NamedTuple):
    """Mean squared errors of bag means, and of all samples when each is given its bag's label."""

    bag: Float[Array, ""]
    instance: Float[Array, ""]


class BagFits(NamedTuple):
    """For every weight of the instance loss and every scale of Laplace noise: squared errors, and projections.

    ``risk`` is the squared distance of the parameters from the true ones, ``overlap`` their projection on them, in
    units of their squared length.
    """

    risk: Float[Array, "weights scales"]
    overlap: Float[Array, "weights scales"]


def bag_losses(
    parameters: Float[ArrayLike, " p"], features: Float[ArrayLike, "n p"], bag_labels: Float[ArrayLike, " m"]
) -> BagLosses:
    """Evaluate both losses; consecutive samples make a bag.

    Raises
    ------
    ValueError
        If shapes do not fit: parameters (p,), features (n, p) and labels of m bags, m a divisor of n.
    """
    x, labels = validation.finite("features", features, ndim=2), validation.finite("bag_labels", bag_labels, ndim=1)
    if labels.size == 0 or len(x) % labels.size:
        raise ValueError(f"bag_labels must hold one label for each bag of {len(x)} samples; got {labels.size}")
    if jnp.shape(parameters) != x.shape[1:]:
        raise ValueError(f"parameters must have shape {x.shape[1:]}; got {jnp.shape(parameters)}")
    bags = x.reshape(len(labels), -1, x.shape[1])
    theta = jnp.asarray(parameters)
    of_means = (labels - jnp.mean(bags, axis=1) @ theta) ** 2
    of_samples = (labels[:, None] - bags @ theta) ** 2
    return BagLosses(jnp.mean(of_means), jnp.mean(of_samples))


def fit_bags(
    features: Float[ArrayLike, "n p"], bag_labels: Float[ArrayLike, " m"], weight: ArrayLike
) -> Float[Array, " p"]:
    """Minimise (1 - weight) times the bag loss and weight times the instance loss, by their derivatives."""
    mix = jnp.asarray(weight)

    def loss(parameters: Array) -> Array:
        losses = bag_losses(parameters, features, bag_labels)
        return (1 - mix) * losses.bag + mix * losses.instance

    return minimise_quadratic(loss, jnp.shape(features)[1])


def learn_from_bags(
    key: PRNGKeyArray,
    weights: Float[ArrayLike, " weights"],
    laplace_scales: Float[ArrayLike, " scales"],
    signal: ArrayLike,
    noise_var: ArrayLike,
    shared_noise: ArrayLike,
    alike: ArrayLike,
    n: int,
    p: int,
    bag_size: int,
    labelings: int = 1,
) -> BagFits:
    """Draw samples of independent normal features, bag them, and learn from noisy means of their labels.

    Several teachers, of squared length ``signal``, label the same samples, each with noise of its own, and results are
    means over them. Bags hold samples that were drawn at random, with noise of their own; ``shared_noise`` gives one
    noise to all of a bag, and ``alike`` puts together samples that the first teacher labels alike. All weights and
    scales share random numbers. Costs O(n p^2 + p^3) a weight.

    Raises
    ------
    ValueError
        If a weight is outside of [0, 1], a scale or the noise is negative, the signal is not positive, a number is
        below 1, or bags do not divide the samples.
    """
    for name, number in {"n": n, "p": p, "bag_size": bag_size, "labelings": labelings}.items():
        validation.integer(name, number, minimum=1)
    if n % bag_size:
        raise ValueError(f"n must be a multiple of bag_size; got {n} and {bag_size}")
    mixes = validation.finite("weights", weights, ndim=1)
    validation.require("weights", mixes, lambda array: (array >= 0) & (array <= 1), "in [0, 1]")
    scales = validation.nonnegative("laplace_scales", laplace_scales, ndim=1)
    validation.positive("signal", signal, ndim=0)
    validation.nonnegative("noise_var", noise_var, ndim=0)
    m = n // bag_size
    # one call, since it is random numbers that take time to compile
    drawn = jax.random.normal(key, (n * p + labelings * (p + n + 4 * m),))
    parts = jnp.split(drawn, np.cumsum([n * p, labelings * p, labelings * n]))
    x, teachers, noise = parts[0].reshape(n, p), parts[1].reshape(labelings, p), parts[2].reshape(labelings, n)
    teachers *= jnp.sqrt(signal) / jnp.linalg.norm(teachers, axis=1, keepdims=True)
    noise = jnp.where(shared_noise, jnp.repeat(noise[:, :m], bag_size, axis=1), noise)
    labels = teachers @ x.T + jnp.sqrt(noise_var) * noise
    order = jnp.where(alike, jnp.argsort(labels[0]), jnp.arange(n))
    x, labels = x[order], labels[:, order]
    means = labels.reshape(labelings, m, bag_size).mean(axis=2)
    # a Laplace variable is the difference of two exponential ones, each half the squared length of two normals
    squares = parts[3].reshape(labelings, m, 4) ** 2
    disturbance = 0.5 * (squares[..., 0] + squares[..., 1] - squares[..., 2] - squares[..., 3])

    def fit(weight: Array, scale: Array) -> BagFits:
        learnt = jax.vmap(lambda published: fit_bags(x, published, weight))(means + scale * disturbance)
        overlap = jnp.sum(learnt * teachers, axis=1) / signal
        return BagFits(jnp.mean(jnp.sum((learnt - teachers) ** 2, axis=1)), jnp.mean(overlap))

    each_scale = jax.vmap(fit, in_axes=(None, 0))
    return jax.vmap(each_scale, in_axes=(0, None))(mixes, scales)
