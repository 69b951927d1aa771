"""Spectra at initialisation: products of Gaussian matrices, and the Jacobians of tanh networks."""

from theory.deep_linear.edge_of_chaos import (
    EdgeOfChaos,
    edge_of_chaos,
    gradient_gain,
    jacobian_mean_square,
    tanh_fixed_point,
    tanh_length_map,
)
from theory.deep_linear.gaussian_products import (
    fuss_catalan_moment,
    gaussian_lyapunov_exponents,
    gaussian_product_edge,
    gaussian_product_fourth_norm,
    gaussian_product_log_norm,
    gaussian_product_second_moment,
)

__all__ = [
    "EdgeOfChaos",
    "edge_of_chaos",
    "fuss_catalan_moment",
    "gaussian_lyapunov_exponents",
    "gaussian_product_edge",
    "gaussian_product_fourth_norm",
    "gaussian_product_log_norm",
    "gaussian_product_second_moment",
    "gradient_gain",
    "jacobian_mean_square",
    "tanh_fixed_point",
    "tanh_length_map",
]
