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
from theory.ntk.gaussian_distance import w1_width_coefficient
from theory.ntk.infinite_depth import (
    MajorityLimit,
    SingularLimit,
    deep_ntk,
    hermite_dual,
    koenigs_kernel,
    limit_classifier,
    majority_limit,
    off_diagonal_ratio,
    singular_activation,
    singular_exponent,
    singular_limit,
)
from theory.ntk.kernels import Kernels, nngp_ntk
from theory.ntk.local_kernels import (
    circle_eigenvalues,
    cusp_error_coefficient,
    hierarchical_decay_exponents,
    learning_curve_exponent,
    local_kernel,
)
from theory.ntk.quadrature import gaussian_mean, hermite_coefficients
from theory.ntk.random_features import snnk_feature_variance

__all__ = [
    "GP",
    "Activation",
    "ConditioningWarning",
    "Dual",
    "Kernels",
    "MajorityLimit",
    "QuadratureWarning",
    "Rates",
    "SingularLimit",
    "circle_eigenvalues",
    "cusp_error_coefficient",
    "deep_ntk",
    "dual_activation",
    "gauss_hermite_dual",
    "gaussian_mean",
    "hermite_coefficients",
    "hermite_dual",
    "hierarchical_decay_exponents",
    "kernel_pca_rates",
    "koenigs_kernel",
    "learning_curve_exponent",
    "limit_classifier",
    "local_kernel",
    "majority_limit",
    "nngp_bias_coefficient",
    "nngp_ntk",
    "ntk_gp",
    "ntk_variance_coefficient",
    "off_diagonal_ratio",
    "output_kurtosis_coefficient",
    "polynomial_rank_bound",
    "singular_activation",
    "singular_exponent",
    "singular_limit",
    "snnk_feature_variance",
    "w1_width_coefficient",
]
