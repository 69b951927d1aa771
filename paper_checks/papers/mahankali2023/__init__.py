"""Mahankali, Hashimoto and Ma 2023: one step of gradient descent is the optimal one-layer linear attention."""

from paper_checks.papers.mahankali2023 import landscape, nonlinear, optimum, statistics
from paper_checks.papers.mahankali2023.paper import PAPER

__all__ = ["PAPER", "landscape", "nonlinear", "optimum", "statistics"]
