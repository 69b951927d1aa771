"""Saxe, McClelland and Ganguli 2013: exact learning dynamics of deep linear networks."""

from paper_checks.papers.saxe2013 import (
    deep_courses,
    deep_curvature,
    first_weights,
    initialisation,
    nonlinear,
    two_layers,
)
from paper_checks.papers.saxe2013.paper import PAPER

__all__ = ["PAPER", "deep_courses", "deep_curvature", "first_weights", "initialisation", "nonlinear", "two_layers"]
