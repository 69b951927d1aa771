"""Infinite-width networks in closed form: kernels, their dynamics, parametrisations, criticality and infinite depth."""

from theory.ntk.activations import Activation
from theory.ntk.dual import Dual, QuadratureWarning, dual_activation, gauss_hermite_dual
from theory.ntk.dynamics import GP, ConditioningWarning, Rates, kernel_pca_rates, ntk_gp
from theory.ntk.finite_width import (
    nngp_bias_coefficient,
    ntk_variance_coefficient,
    output_kurtosis_coefficient,
    polynomial_rank_bound,
)
from theory.ntk.kernels import Kernels, nngp_ntk
from theory.ntk.quadrature import gaussian_mean, hermite_coefficients

__all__ = [
    "GP",
    "Activation",
    "ConditioningWarning",
    "Dual",
    "Kernels",
    "QuadratureWarning",
    "Rates",
    "dual_activation",
    "gauss_hermite_dual",
    "gaussian_mean",
    "hermite_coefficients",
    "kernel_pca_rates",
    "nngp_bias_coefficient",
    "nngp_ntk",
    "ntk_gp",
    "ntk_variance_coefficient",
    "output_kurtosis_coefficient",
    "polynomial_rank_bound",
]
