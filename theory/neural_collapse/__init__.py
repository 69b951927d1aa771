"""Neural collapse: minimisers of unconstrained feature models in closed form, their phases, response and dynamics."""

from theory.neural_collapse.bias_decay import BiasDecayMinimizer, critical_bias_decay, ufm_mse_bias_decay_minimizer
from theory.neural_collapse.central_path import NC1Rates, central_path_flow, nc1_rates
from theory.neural_collapse.cross_entropy import CESolution, ufm_ce_cross_polytope, ufm_ce_etf
from theory.neural_collapse.frames import simplex_etf
from theory.neural_collapse.metrics import ClassStatistics, NCMetrics, class_statistics, nc_metrics
from theory.neural_collapse.mode_flow import (
    LinearizedFlow,
    central_path_loss,
    linearized_flow,
    linearized_flow_spectrum,
    renormalized_central_path,
    ufm_gradient_flow_bias,
    ufm_gradient_flow_modes,
)
from theory.neural_collapse.modes import (
    collapse_threshold,
    critical_class_size,
    fold_threshold,
    mode_singular_value,
)
from theory.neural_collapse.perturbation import (
    BlockSpectrum,
    NearCollapse,
    Response,
    near_collapse_minimizer,
    near_collapse_response,
    response_block_singular_values,
    within_class_response,
)
from theory.neural_collapse.phases import Phase, PhaseDiagram, phase_diagram
from theory.neural_collapse.squared_error import (
    Fate,
    LocalMinima,
    UFMMinimizer,
    ufm_mse_local_minima,
    ufm_mse_minimizer,
)

__all__ = [
    "BiasDecayMinimizer",
    "BlockSpectrum",
    "CESolution",
    "ClassStatistics",
    "Fate",
    "LinearizedFlow",
    "LocalMinima",
    "NC1Rates",
    "NCMetrics",
    "NearCollapse",
    "Phase",
    "PhaseDiagram",
    "Response",
    "UFMMinimizer",
    "central_path_flow",
    "central_path_loss",
    "class_statistics",
    "collapse_threshold",
    "critical_bias_decay",
    "critical_class_size",
    "fold_threshold",
    "linearized_flow",
    "linearized_flow_spectrum",
    "mode_singular_value",
    "nc1_rates",
    "nc_metrics",
    "near_collapse_minimizer",
    "near_collapse_response",
    "phase_diagram",
    "renormalized_central_path",
    "response_block_singular_values",
    "simplex_etf",
    "ufm_ce_cross_polytope",
    "ufm_ce_etf",
    "ufm_gradient_flow_bias",
    "ufm_gradient_flow_modes",
    "ufm_mse_bias_decay_minimizer",
    "ufm_mse_local_minima",
    "ufm_mse_minimizer",
    "within_class_response",
]
