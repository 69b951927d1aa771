"""Self-distillation as done: the readout of a network is trained again and again, on labels and on its last fit."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike
from jaxtyping import Float

from simulations.kernel_regression._quadratic import minimise_quadratic


class Generations(NamedTuple):
    """Readouts of all generations, and their outputs at the training points."""

    readouts: Float[Array, "steps features"]
    fits: Float[Array, "steps n"]


class TunedWeight(NamedTuple):
    """Weight of the labels that is best on validation points, and the squared error there, summed."""

    weight: Float[Array, ""]
    loss: Float[Array, ""]


@jax.jit
def distil(
    features: Float[ArrayLike, "n features"],
    labels: Float[ArrayLike, " n"],
    ridge: ArrayLike,
    label_weights: Float[ArrayLike, " steps"],
    penalise_change: ArrayLike = False,
) -> Generations:
    """Train one generation after the other by minimising its own loss; the first teacher is the labels.

    With ``penalise_change`` the ridge draws a readout to the one before, not to zero. Costs O(steps (n p^2 + p^3)).
    """
    phi, y = jnp.asarray(features), jnp.asarray(labels)

    def generation(before: tuple[Array, Array], weight: Array) -> tuple[tuple[Array, Array], Generations]:
        readout, teacher = before
        centre = jnp.where(penalise_change, readout, 0.0)
        trained = _train(phi, y, teacher, ridge, weight, centre)
        return (trained, phi @ trained), Generations(trained, phi @ trained)

    _, found = jax.lax.scan(generation, (jnp.zeros(phi.shape[1]), y), jnp.asarray(label_weights))
    return found


@jax.jit
def tune_last_weight(
    features: Float[ArrayLike, "n features"],
    labels: Float[ArrayLike, " n"],
    ridge: ArrayLike,
    label_weights: Float[ArrayLike, " steps"],
    validation_features: Float[ArrayLike, "m features"],
    validation_labels: Float[ArrayLike, " m"],
    lowest: ArrayLike = -jnp.inf,
    highest: ArrayLike = jnp.inf,
) -> TunedWeight:
    """Distil by ``label_weights``, and choose the weight of one further generation by its validation loss.

    Newton's method, projected on [lowest, highest], differentiates through the training of that generation.
    """
    phi, y = jnp.asarray(features), jnp.asarray(labels)
    teacher = distil(phi, y, ridge, label_weights).fits[-1]

    def validation(weight: Array) -> Array:
        trained = _train(phi, y, teacher, ridge, weight, jnp.zeros(phi.shape[1]))
        return jnp.sum((jnp.asarray(validation_features) @ trained - jnp.asarray(validation_labels)) ** 2)

    slope = jax.jacfwd(validation)

    def improve(weight: Array, _: None) -> tuple[Array, None]:
        return jnp.clip(weight - slope(weight) / jax.jacfwd(slope)(weight), lowest, highest), None

    best, _ = jax.lax.scan(improve, jnp.asarray(0.5), None, length=4)
    return TunedWeight(best, validation(best))


def _train(phi: Array, y: Array, teacher: Array, ridge: ArrayLike, weight: Array, centre: Array) -> Array:
    def loss(readout: Array) -> Array:
        fit = phi @ readout
        on_labels, on_teacher = jnp.sum((fit - y) ** 2), jnp.sum((fit - teacher) ** 2)
        penalty = jnp.sum((readout - centre) ** 2)
        return 0.5 * (weight * on_labels + (1 - weight) * on_teacher + ridge * penalty)

    return minimise_quadratic(loss, phi.shape[1])
