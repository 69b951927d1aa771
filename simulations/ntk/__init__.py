"""Finite-width networks as they are: sampled, differentiated, trained, and measured at many widths."""

from simulations.ntk.gaussian_pairs import moments, pair_mean
from simulations.ntk.networks import (
    ACTIVATIONS,
    Layer,
    Network,
    Scales,
    abc_scales,
    initialise,
    ntk_scales,
    outputs,
    standard_scales,
    tangent_kernel,
)
from simulations.ntk.training import gradient_descent, linearised_descent, squared_error

__all__ = [
    "ACTIVATIONS",
    "Layer",
    "Network",
    "Scales",
    "abc_scales",
    "gradient_descent",
    "initialise",
    "linearised_descent",
    "moments",
    "ntk_scales",
    "outputs",
    "pair_mean",
    "squared_error",
    "standard_scales",
    "tangent_kernel",
]
