"""Finite-width networks as they are: sampled, differentiated, trained, and measured at many widths."""

from simulations.ntk.gaussian_pairs import deep_kernels, moments, pair_mean
from simulations.ntk.networks import (
    ACTIVATIONS,
    Layer,
    Network,
    Scales,
    abc_scales,
    initialise,
    narrow,
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
    "deep_kernels",
    "gradient_descent",
    "initialise",
    "linearised_descent",
    "moments",
    "narrow",
    "ntk_scales",
    "outputs",
    "pair_mean",
    "squared_error",
    "standard_scales",
    "tangent_kernel",
]
