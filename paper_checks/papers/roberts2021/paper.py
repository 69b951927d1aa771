"""The book to which the modules beside this one attach their claims, and the activations that several of them try."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from paper_checks.claim import Paper
from simulations import ntk as sim
from theory.ntk.activations import Activation, ActivationLike

PAPER = Paper(
    key="roberts2021",
    title="The Principles of Deep Learning Theory",
    authors="Daniel A. Roberts, Sho Yaida, Boris Hanin",
    year=2022,
    arxiv="2106.10165",
    wing="ntk",
)

BEND = 0.5


def leaky(slope: float) -> Callable[[jax.Array], jax.Array]:
    """Return the piecewise linear function of slope 1 above zero and ``slope`` below, for simulations."""
    return lambda z: jnp.where(z > 0, z, slope * z)


SIMULATED: dict[str, Callable[[jax.Array], jax.Array]] = sim.ACTIVATIONS | {
    "bent sine": lambda z: jnp.sin(z) + BEND * (1 - jnp.cos(z)),
    "leaky 0.5": leaky(0.5),
    "leaky -0.7": leaky(-0.7),
}
"""Activations as simulations take them. The bent sine is not odd, so that its two susceptibilities differ."""

SOLVED: dict[str, ActivationLike] = {
    **{name: name for name in sim.ACTIVATIONS},
    "bent sine": Activation(
        lambda z: np.sin(z) + BEND * (1 - np.cos(z)), lambda z: np.cos(z) + BEND * np.sin(z), "bent sine"
    ),
    "leaky 0.5": ("leaky_relu", 0.5),
    "leaky -0.7": ("leaky_relu", -0.7),
}
"""The same activations as solvers take them."""

FADING = ("tanh", "sin", "erf", "bent sine")
"""Those whose signal fades at criticality, K* = 0."""


def unit_gain(activation: Callable[[jax.Array], jax.Array]) -> float:
    """Variance of weights, times width, at which a layer passes on very small signals as they are."""
    return float(1 / jax.grad(activation)(0.0) ** 2)
