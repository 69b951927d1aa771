"""Finite-width networks as they are: sampled, differentiated, trained, and measured at many widths."""

from simulations.ntk.depth import (
    DeepKernels,
    hermite_activation,
    labelled_arc,
    monomial_kernels,
    nearest_label,
    polynomial_kernels,
    regression_vote,
    separation,
    weighted_vote,
)
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
    "DeepKernels",
    "Layer",
    "Network",
    "Scales",
    "abc_scales",
    "deep_kernels",
    "gradient_descent",
    "hermite_activation",
    "initialise",
    "labelled_arc",
    "linearised_descent",
    "moments",
    "monomial_kernels",
    "narrow",
    "nearest_label",
    "ntk_scales",
    "outputs",
    "pair_mean",
    "polynomial_kernels",
    "regression_vote",
    "separation",
    "squared_error",
    "standard_scales",
    "tangent_kernel",
    "weighted_vote",
]
