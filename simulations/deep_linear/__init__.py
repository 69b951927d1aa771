"""Deep linear networks as they are: weight matrices trained by gradient descent and gradient flow.

Weights are a tuple of matrices, input side first; a :class:`Task` holds what the network is to learn.
"""

from simulations.deep_linear.gradient_descent import (
    FewestSteps,
    StepsToFraction,
    descend_at_times,
    fewest_steps,
    gradient_descent,
    gradient_step,
    pretrain_layers,
    steps_at,
    steps_to_fraction,
)
from simulations.deep_linear.gradient_flow import Crossings, crossing_times, gradient_flow
from simulations.deep_linear.hessian import (
    StabilityProbe,
    hessian_eigenvalues,
    loss_hessian,
    probe_stability,
    top_hessian_eigenvalue,
)
from simulations.deep_linear.initial_conditions import (
    balanced,
    decoupled,
    fan_in_gaussian,
    gaussian,
    haar,
    imbalanced,
    orthogonal,
)
from simulations.deep_linear.mean_field import WideTanh, wide_tanh
from simulations.deep_linear.networks import Task, Weights, loss, product, stack_layers, unstack_layers
from simulations.deep_linear.readouts import (
    conserved_quantities,
    conserved_vector,
    distance,
    gram,
    mode_coupling,
    mode_strengths,
    singular_values,
)
from simulations.deep_linear.spectra import (
    lyapunov_exponents,
    random_factor,
    random_lyapunov_exponents,
    random_product,
    spectral_moments,
    squared_singular_values,
    vector_log_growth,
)
from simulations.deep_linear.tanh_network import TanhPass, TanhTangent, tanh_lengths, tanh_pass, tanh_tangent

__all__ = [
    "Crossings",
    "FewestSteps",
    "StabilityProbe",
    "StepsToFraction",
    "TanhPass",
    "TanhTangent",
    "Task",
    "Weights",
    "WideTanh",
    "balanced",
    "conserved_quantities",
    "conserved_vector",
    "crossing_times",
    "decoupled",
    "descend_at_times",
    "distance",
    "fan_in_gaussian",
    "fewest_steps",
    "gaussian",
    "gradient_descent",
    "gradient_flow",
    "gradient_step",
    "gram",
    "haar",
    "hessian_eigenvalues",
    "imbalanced",
    "loss",
    "loss_hessian",
    "lyapunov_exponents",
    "mode_coupling",
    "mode_strengths",
    "orthogonal",
    "pretrain_layers",
    "probe_stability",
    "product",
    "random_factor",
    "random_lyapunov_exponents",
    "random_product",
    "singular_values",
    "spectral_moments",
    "squared_singular_values",
    "stack_layers",
    "steps_at",
    "steps_to_fraction",
    "tanh_lengths",
    "tanh_pass",
    "tanh_tangent",
    "top_hessian_eigenvalue",
    "unstack_layers",
    "vector_log_growth",
    "wide_tanh",
]
