"""Gradient methods as they run: attention trained, large steps taken, batches drawn, Hessians sampled."""

from simulations.optimization.attention import (
    Factors,
    RegressionTask,
    SelectionTask,
    attention_logits,
    attention_loss,
    attention_matrix,
    repeated_task,
    selected_tokens,
    token_margins,
)
from simulations.optimization.attention_paths import (
    LeastNorm,
    RegularizationPath,
    least_norm_attention,
    lowest_start,
    regularization_path,
)
from simulations.optimization.attention_training import attention_descent, attention_flow
from simulations.optimization.batch_hessian import BatchHessians, sample_batch_hessians, top_eigenpair
from simulations.optimization.expected_step import (
    WeightedFeatures,
    exact_mean_square_threshold,
    expected_step_matrix,
    gaussian_nodes,
)
from simulations.optimization.large_step import (
    UNFINISHED,
    WorstCases,
    descent_path,
    logistic_losses,
    perceptron_path,
    random_separable,
    search_worst_cases,
    steps_to_separate,
)
from simulations.optimization.minima import (
    LinearModel,
    RayleighMinimum,
    TanhNetwork,
    ZeroLossModel,
    rayleigh_quotient,
    sample_gradients,
    train_network,
)
from simulations.optimization.populations import (
    mean_square_growth,
    mean_square_threshold,
    resampled_mean_squares,
)
from simulations.optimization.scale_invariance import (
    MomentumRun,
    TangentWalk,
    momentum_descent,
    normalized_logistic,
    tangent_walk,
)
from simulations.optimization.separation import attention_separable, linear_margins
from simulations.optimization.stability import (
    descent_threshold,
    gaussian_displacements,
    sgd_displacements,
)

__all__ = [
    "UNFINISHED",
    "BatchHessians",
    "Factors",
    "LeastNorm",
    "LinearModel",
    "MomentumRun",
    "RayleighMinimum",
    "RegressionTask",
    "RegularizationPath",
    "SelectionTask",
    "TangentWalk",
    "TanhNetwork",
    "WeightedFeatures",
    "WorstCases",
    "ZeroLossModel",
    "attention_descent",
    "attention_flow",
    "attention_logits",
    "attention_loss",
    "attention_matrix",
    "attention_separable",
    "descent_path",
    "descent_threshold",
    "exact_mean_square_threshold",
    "expected_step_matrix",
    "gaussian_displacements",
    "gaussian_nodes",
    "least_norm_attention",
    "linear_margins",
    "logistic_losses",
    "lowest_start",
    "mean_square_growth",
    "mean_square_threshold",
    "momentum_descent",
    "normalized_logistic",
    "perceptron_path",
    "random_separable",
    "rayleigh_quotient",
    "regularization_path",
    "repeated_task",
    "resampled_mean_squares",
    "sample_batch_hessians",
    "sample_gradients",
    "search_worst_cases",
    "selected_tokens",
    "sgd_displacements",
    "steps_to_separate",
    "tangent_walk",
    "token_margins",
    "top_eigenpair",
    "train_network",
]
