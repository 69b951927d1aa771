"""Deep linear networks: exact learning dynamics, spectra at initialisation, high-dimensional averages."""

from theory.deep_linear.curvature import (
    HessianEigenvalues,
    critical_learning_rate,
    hessian_eigenvalues,
    top_hessian_eigenvalue,
    training_steps,
)
from theory.deep_linear.edge_of_chaos import (
    EdgeOfChaos,
    edge_of_chaos,
    gradient_gain,
    jacobian_mean_square,
    tanh_fixed_point,
    tanh_length_map,
)
from theory.deep_linear.end_to_end import end_to_end_flow, end_to_end_velocity
from theory.deep_linear.gaussian_products import (
    fuss_catalan_moment,
    gaussian_lyapunov_exponents,
    gaussian_product_edge,
    gaussian_product_fourth_norm,
    gaussian_product_log_norm,
    gaussian_product_second_moment,
)
from theory.deep_linear.modes import mode_strength, mode_time, mode_time_infinite_depth, pretraining_strength
from theory.deep_linear.riccati import TwoLayerFlow, two_layer_flow
from theory.deep_linear.unbalanced import UnbalancedModes, hyperbolic_time, unbalanced_modes

__all__ = [
    "EdgeOfChaos",
    "HessianEigenvalues",
    "TwoLayerFlow",
    "UnbalancedModes",
    "critical_learning_rate",
    "edge_of_chaos",
    "end_to_end_flow",
    "end_to_end_velocity",
    "fuss_catalan_moment",
    "gaussian_lyapunov_exponents",
    "gaussian_product_edge",
    "gaussian_product_fourth_norm",
    "gaussian_product_log_norm",
    "gaussian_product_second_moment",
    "gradient_gain",
    "hessian_eigenvalues",
    "hyperbolic_time",
    "jacobian_mean_square",
    "mode_strength",
    "mode_time",
    "mode_time_infinite_depth",
    "pretraining_strength",
    "tanh_fixed_point",
    "tanh_length_map",
    "top_hessian_eigenvalue",
    "training_steps",
    "two_layer_flow",
    "unbalanced_modes",
]
