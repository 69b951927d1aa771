"""In-context learners in closed form: one step of gradient descent, linear attention trained, Newton iterations."""

from theory.in_context.one_step import GramMoments, OneStepOptimum, gram_moments, one_step_risk, optimal_step

__all__ = [
    "GramMoments",
    "OneStepOptimum",
    "gram_moments",
    "one_step_risk",
    "optimal_step",
]
