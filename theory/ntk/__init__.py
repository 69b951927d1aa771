"""Infinite-width networks in closed form: kernels, their dynamics, parametrisations, criticality and infinite depth."""

from theory.ntk.activations import Activation
from theory.ntk.dual import Dual, QuadratureWarning, dual_activation, gauss_hermite_dual
from theory.ntk.quadrature import gaussian_mean, hermite_coefficients

__all__ = [
    "Activation",
    "Dual",
    "QuadratureWarning",
    "dual_activation",
    "gauss_hermite_dual",
    "gaussian_mean",
    "hermite_coefficients",
]
