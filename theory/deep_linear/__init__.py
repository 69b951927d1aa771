"""Deep linear networks: exact learning dynamics, spectra at initialisation, high-dimensional averages."""

from theory.deep_linear.curvature import (
    HessianEigenvalues,
    critical_learning_rate,
    hessian_eigenvalues,
    top_hessian_eigenvalue,
    training_steps,
)
from theory.deep_linear.modes import mode_strength, mode_time, mode_time_infinite_depth, pretraining_strength
from theory.deep_linear.unbalanced import UnbalancedModes, hyperbolic_time, unbalanced_modes

__all__ = [
    "HessianEigenvalues",
    "UnbalancedModes",
    "critical_learning_rate",
    "hessian_eigenvalues",
    "hyperbolic_time",
    "mode_strength",
    "mode_time",
    "mode_time_infinite_depth",
    "pretraining_strength",
    "top_hessian_eigenvalue",
    "training_steps",
    "unbalanced_modes",
]
