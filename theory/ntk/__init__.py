"""Infinite-width networks in closed form: kernels, their dynamics, parametrisations, criticality and infinite depth."""

from theory.ntk.activations import Activation
from theory.ntk.criticality import (
    Chi,
    Critical,
    SmallVariance,
    Tuning,
    critical_curvature,
    critical_line,
    critical_point,
    small_variance_series,
    susceptibilities,
)
from theory.ntk.dual import Dual, QuadratureWarning, dual_activation, gauss_hermite_dual
from theory.ntk.dynamics import GP, ConditioningWarning, Rates, kernel_pca_rates, ntk_gp
from theory.ntk.feature_learning import MuPPath, mup_linear_limit, mup_two_layer_limit
from theory.ntk.finite_width import (
    nngp_bias_coefficient,
    ntk_variance_coefficient,
    output_kurtosis_coefficient,
    polynomial_rank_bound,
)
from theory.ntk.gaussian_distance import w1_width_coefficient, w1_width_correction
from theory.ntk.infinite_depth import (
    SingularLimit,
    deep_ntk,
    hermite_dual,
    koenigs_kernel,
    singular_activation,
    singular_exponent,
    singular_limit,
)
from theory.ntk.kernels import Kernels, nngp_ntk
from theory.ntk.limit_classifiers import MajorityLimit, limit_classifier, majority_limit, off_diagonal_ratio
from theory.ntk.local_kernels import (
    circle_eigenvalues,
    cusp_error_coefficient,
    hierarchical_decay_exponents,
    learning_curve_exponent,
    local_kernel,
)
from theory.ntk.parametrisations import ABC, Parametrisation, abc_exponents, abc_preset, abc_shift
from theory.ntk.quadrature import gaussian_mean, hermite_coefficients
from theory.ntk.random_features import UnitEstimate, snnk_feature_variance, snnk_gaussian_unit
from theory.ntk.vertices import (
    Decay,
    Expansion,
    Flow,
    critical_decay,
    entropy_expansion,
    information_expansion,
    kernel_moment_ratio,
    optimal_aspect_ratio,
    representation_flow,
    vertex_slope,
)

__all__ = [
    "ABC",
    "GP",
    "Activation",
    "Chi",
    "ConditioningWarning",
    "Critical",
    "Decay",
    "Dual",
    "Expansion",
    "Flow",
    "Kernels",
    "MajorityLimit",
    "MuPPath",
    "Parametrisation",
    "QuadratureWarning",
    "Rates",
    "SingularLimit",
    "SmallVariance",
    "Tuning",
    "UnitEstimate",
    "abc_exponents",
    "abc_preset",
    "abc_shift",
    "circle_eigenvalues",
    "critical_curvature",
    "critical_decay",
    "critical_line",
    "critical_point",
    "cusp_error_coefficient",
    "deep_ntk",
    "dual_activation",
    "entropy_expansion",
    "gauss_hermite_dual",
    "gaussian_mean",
    "hermite_coefficients",
    "hermite_dual",
    "hierarchical_decay_exponents",
    "information_expansion",
    "kernel_moment_ratio",
    "kernel_pca_rates",
    "koenigs_kernel",
    "learning_curve_exponent",
    "limit_classifier",
    "local_kernel",
    "majority_limit",
    "mup_linear_limit",
    "mup_two_layer_limit",
    "nngp_bias_coefficient",
    "nngp_ntk",
    "ntk_gp",
    "ntk_variance_coefficient",
    "off_diagonal_ratio",
    "optimal_aspect_ratio",
    "output_kurtosis_coefficient",
    "polynomial_rank_bound",
    "representation_flow",
    "singular_activation",
    "singular_exponent",
    "singular_limit",
    "small_variance_series",
    "snnk_feature_variance",
    "snnk_gaussian_unit",
    "susceptibilities",
    "vertex_slope",
    "w1_width_coefficient",
    "w1_width_correction",
]
