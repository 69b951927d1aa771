"""The solvers of in-context gradient descent under one roof; each lives in the module of its idea."""

from theory.in_context.one_step import GramMoments, OneStepOptimum, gram_moments, one_step_risk, optimal_step

__all__ = [
    "GramMoments",
    "OneStepOptimum",
    "gram_moments",
    "one_step_risk",
    "optimal_step",
]
