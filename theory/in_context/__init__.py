"""In-context learners in closed form: one step of gradient descent, linear attention trained, Newton iterations."""

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
from theory.in_context.mesa import (
    BlockGradient,
    CovarianceMoments,
    TokenMoments,
    block_gradient,
    covariance_moments,
    initial_token_moments,
    mesa_flow,
    mesa_loss,
    mesa_prediction,
    mesa_product,
    mesa_risk,
)
from theory.in_context.one_step import GramMoments, OneStepOptimum, gram_moments, one_step_risk, optimal_step

__all__ = [
    "AttentionWeights",
    "BlockGradient",
    "CovarianceMoments",
    "GdppPath",
    "GdppSpectrum",
    "GramMoments",
    "OneStepOptimum",
    "TokenMoments",
    "block_gradient",
    "covariance_moments",
    "dual_form",
    "gd_attention_weights",
    "gd_weights",
    "gdpp_path",
    "gdpp_spectrum",
    "gram_moments",
    "initial_token_moments",
    "mesa_flow",
    "mesa_loss",
    "mesa_prediction",
    "mesa_product",
    "mesa_risk",
    "momentum_gd",
    "one_step_risk",
    "optimal_step",
    "value_ema",
]
