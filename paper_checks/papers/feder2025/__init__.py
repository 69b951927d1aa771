"""Feder, Urbanke, Fogel 2025: why large classes learn well, seen through universal prediction.

A mixture over a class of models pays for the weight near the truth, not for the number of models. Predictors are run
here on every sequence of coin tosses; theory sums over sufficient statistics instead.
"""

from paper_checks.papers.feder2025 import bounds, classes, priors
from paper_checks.papers.feder2025.paper import PAPER

__all__ = ["PAPER", "bounds", "classes", "priors"]
