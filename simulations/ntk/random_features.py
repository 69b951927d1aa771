"""Random features of inputs and of weights, drawn, multiplied out, and averaged."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike
from jaxtyping import Float, PRNGKeyArray

from simulations import validation
from simulations.replicates import over_replicates

LAWS = ("normal", "signs", "apart", "twice")


class FeatureMoments(NamedTuple):
    """Averages over features of their estimates, each of shape (inputs, units).

    ``exponential`` estimates exp(x.w), ``real`` and ``imaginary`` the parts of exp(i x.w); the others are mean squares.
    """

    exponential: Array
    exponential_sq: Array
    real: Array
    real_sq: Array
    imaginary: Array
    modulus_sq: Array


class UnitMoments(NamedTuple):
    """Averages over features of their estimates of a unit's activity and of the squares, each (inputs, units)."""

    mean: Array
    mean_sq: Array


def directions(key: PRNGKeyArray, features: int, dim: int, law: ArrayLike) -> tuple[Array, Array]:
    """Draw the directions (features, dim) that inputs and weights are projected on, by the number of a law in `LAWS`.

    Both share ``normal`` directions, random ``signs``, or normal ones of which each is there ``twice``; ``apart`` each
    has its own. Numbers are traced, so that laws share a program.
    """
    shared, other = jax.random.normal(key, (2, features, dim))
    kinds = (shared, jnp.sign(shared), shared, jnp.repeat(shared, 2, axis=0)[:features])
    return jax.lax.select_n(law, *kinds), jnp.where(law == LAWS.index("apart"), other, jax.lax.select_n(law, *kinds))


def exponential_features(points: Array, along: Array) -> Array:
    """Return exp(g.z - z.z / 2) for every row z of ``points``, real or complex, and every direction g: (points, g)."""
    return jnp.exp(points @ along.T - 0.5 * jnp.sum(points**2, axis=-1, keepdims=True))


def feature_moments(
    keys: PRNGKeyArray, x: Float[ArrayLike, "N d"], w: Float[ArrayLike, "M d"], *, features: int, law: str = "normal"
) -> FeatureMoments:
    """Average products of an input's and a unit's feature, and their squares, over ``features`` draws for every key.

    Replicates are on the first axis. Costs O(features N M) a key.
    """
    number = jnp.asarray(LAWS.index(validation.choice("law", law, LAWS)))
    return over_replicates(_feature_moments, keys, jnp.asarray(x), jnp.asarray(w), features, number)


def _feature_moments(key: PRNGKeyArray, x: Array, w: Array, features: int, law: Array) -> FeatureMoments:
    for_inputs, for_weights = directions(key, features, x.shape[1], law)
    of_units = exponential_features(w, for_weights)

    def average(of_inputs: Array, power: int = 1) -> Array:
        return of_inputs**power @ (of_units**power).T / features

    real, phase = exponential_features(x, for_inputs), exponential_features(1j * x, for_inputs)
    return FeatureMoments(
        exponential=average(real),
        exponential_sq=average(real, 2),
        real=average(phase.real),
        real_sq=average(phase.real, 2),
        imaginary=average(phase.imag),
        modulus_sq=average(jnp.abs(phase), 2),
    )


def decoupled_layers(
    keys: PRNGKeyArray,
    x: Float[ArrayLike, "N d"],
    w: Float[ArrayLike, "M d"],
    *,
    features: int,
    layers: int,
    law: str = "normal",
) -> Float[np.ndarray, "R layers 2 N M"]:
    """Estimate exp(x.w) and cos(x.w) for all inputs and units by a product of two matrices with ``features`` columns.

    Does so for ``layers`` draws a key. Costs O(features N M) a draw.
    """
    number = jnp.asarray(LAWS.index(validation.choice("law", law, LAWS)))
    return over_replicates(_decoupled_layers, keys, jnp.asarray(x), jnp.asarray(w), features, layers, number)


def _decoupled_layers(key: PRNGKeyArray, x: Array, w: Array, features: int, layers: int, law: Array) -> Array:
    def one(key: PRNGKeyArray) -> Array:
        found = _feature_moments(key, x, w, features, law)
        return jnp.stack([found.exponential, found.real])

    return jax.vmap(one)(jax.random.split(key, layers))


def gaussian_unit_moments(
    keys: PRNGKeyArray,
    x: Float[ArrayLike, "N d"],
    w: Float[ArrayLike, "M d"],
    bias: Float[ArrayLike, " M"],
    *,
    width: float,
    features: int,
) -> UnitMoments:
    r"""Estimate units :math:`e^{-(w \cdot x + b)^2 / 2 s^2}` by features of frequencies drawn from N(0, 1 / s^2).

    The bias turns the phase of a unit's features. Replicates are on the first axis. Costs O(features N M) a key.
    """
    s = validation.positive("width", width, ndim=0)
    return over_replicates(_gaussian_unit, keys, jnp.asarray(x), jnp.asarray(w), jnp.asarray(bias), s, features)


def _gaussian_unit(key: PRNGKeyArray, x: Array, w: Array, bias: Array, width: Array, features: int) -> UnitMoments:
    for_directions, for_frequencies = jax.random.split(key)
    along = jax.random.normal(for_directions, (features, x.shape[1]))
    frequencies = jax.random.normal(for_frequencies, (features,)) / width

    def one(g: Array, omega: Array) -> Array:
        of_inputs = exponential_features(1j * omega * x, g[None])
        of_units = jnp.exp(1j * omega * bias)[:, None] * exponential_features(w, g[None])
        return (of_inputs @ of_units.T).real

    found = jax.vmap(one)(along, frequencies)
    return UnitMoments(jnp.mean(found, axis=0), jnp.mean(found**2, axis=0))
