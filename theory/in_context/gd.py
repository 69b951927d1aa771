"""The solvers of in-context gradient descent under one roof; each lives in the module of its idea."""

from theory.in_context.baselines import ols_risk, scalar_bayes_risk
from theory.in_context.constructions import (
    AttentionWeights,
    GdppPath,
    GdppSpectrum,
    gd_attention_weights,
    gd_weights,
    gdpp_path,
    gdpp_spectrum,
)
from theory.in_context.duality import dual_form, momentum_gd, value_ema
from theory.in_context.flow_limit import (
    FlowLimit,
    RandomCovarianceLimit,
    RankOnePoint,
    flow_loss,
    gamma_matrix,
    gradient_flow_limit,
    gram_sandwich,
    random_covariance_limit,
    rank_one_point,
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
from theory.in_context.mesa import (
    BlockGradient,
    block_gradient,
    mesa_flow,
    mesa_loss,
    mesa_prediction,
    mesa_product,
    mesa_risk,
)
from theory.in_context.one_step import GramMoments, OneStepOptimum, gram_moments, one_step_risk, optimal_step
from theory.in_context.prompt_risk import RiskDecomposition, in_context_risk, misspecified_risk
from theory.in_context.responses import ResponseMoments, nonlinear_optimal_step, response_moments
from theory.in_context.token_moments import CovarianceMoments, TokenMoments, covariance_moments, initial_token_moments

__all__ = [
    "AttentionWeights",
    "BlockGradient",
    "CovarianceMoments",
    "FlowLimit",
    "FlowPath",
    "GdppPath",
    "GdppSpectrum",
    "GramMoments",
    "IsotropicFlow",
    "OneStepOptimum",
    "PreconditionedOptimum",
    "RandomCovarianceLimit",
    "RankOnePoint",
    "RankOneTrap",
    "ResponseMoments",
    "RiskDecomposition",
    "TokenMoments",
    "block_gradient",
    "covariance_moments",
    "dual_form",
    "flow_loss",
    "gamma_matrix",
    "gd_attention_weights",
    "gd_weights",
    "gdpp_path",
    "gdpp_spectrum",
    "gradient_flow",
    "gradient_flow_limit",
    "gram_moments",
    "gram_sandwich",
    "in_context_risk",
    "initial_token_moments",
    "isotropic_gradient_flow",
    "lsa_population_loss",
    "mesa_flow",
    "mesa_loss",
    "mesa_prediction",
    "mesa_product",
    "mesa_risk",
    "misspecified_risk",
    "momentum_gd",
    "nonlinear_optimal_step",
    "ols_risk",
    "one_step_risk",
    "optimal_step",
    "pl_constant",
    "preconditioned_optimum",
    "random_covariance_limit",
    "rank_one_point",
    "rank_one_trap",
    "response_moments",
    "scalar_bayes_risk",
    "scalar_lower_bound",
    "value_ema",
]
