"""In-context learners in closed form: one step of gradient descent, linear attention trained, Newton iterations."""

from theory.in_context.baselines import ols_risk, scalar_bayes_risk
from theory.in_context.flow_limit import (
    FlowLimit,
    RandomCovarianceLimit,
    RankOneMinimum,
    flow_loss,
    gamma_matrix,
    gradient_flow_limit,
    gram_sandwich,
    random_covariance_limit,
    rank_one_minimum,
)
from theory.in_context.gradient_flow import (
    FlowPath,
    IsotropicFlow,
    gradient_flow,
    isotropic_gradient_flow,
    pl_constant,
    scalar_lower_bound,
)
from theory.in_context.linear_attention import (
    PreconditionedOptimum,
    RankOneTrap,
    lsa_population_loss,
    preconditioned_optimum,
    rank_one_trap,
)
from theory.in_context.one_step import GramMoments, OneStepOptimum, gram_moments, one_step_risk, optimal_step
from theory.in_context.prompt_risk import RiskDecomposition, in_context_risk, misspecified_risk
from theory.in_context.responses import ResponseMoments, nonlinear_optimal_step, response_moments

__all__ = [
    "FlowLimit",
    "FlowPath",
    "GramMoments",
    "IsotropicFlow",
    "OneStepOptimum",
    "PreconditionedOptimum",
    "RandomCovarianceLimit",
    "RankOneMinimum",
    "RankOneTrap",
    "ResponseMoments",
    "RiskDecomposition",
    "flow_loss",
    "gamma_matrix",
    "gradient_flow",
    "gradient_flow_limit",
    "gram_moments",
    "gram_sandwich",
    "in_context_risk",
    "isotropic_gradient_flow",
    "lsa_population_loss",
    "misspecified_risk",
    "nonlinear_optimal_step",
    "ols_risk",
    "one_step_risk",
    "optimal_step",
    "pl_constant",
    "preconditioned_optimum",
    "random_covariance_limit",
    "rank_one_minimum",
    "rank_one_trap",
    "response_moments",
    "scalar_bayes_risk",
    "scalar_lower_bound",
]
