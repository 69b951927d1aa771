"""Gastpar, Nachum, Shafer, Weinberger 2024: no bound on generalisation is tight for every learner, in exact models.

The paper's theorems bound what an estimator of the population error can do. Here both its settings are finite games
that are solved to the last digit: all functions on a small domain against any learner, and linear functions against a
learner that prefers a subspace.
"""

from paper_checks.papers.gastpar2023 import linear, minimax
from paper_checks.papers.gastpar2023.paper import PAPER

__all__ = ["PAPER", "linear", "minimax"]
