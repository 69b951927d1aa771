"""Rosenfeld and Risteski 2023: a rare, large feature with opposing signals, and what it does to training.

The model is the paper's two-layer linear network in a normalisation of its own: y = beta . z + gamma |o|, the outlier o
is +A or -A with probability p/2 each, alpha = p A^2, half the mean squared error. Where a claim asks for the loss of
the population, the simulation averages over finitely many examples that have the population's first two moments.
"""

from paper_checks.papers.rosenfeld2023 import descent, flow, landscape
from paper_checks.papers.rosenfeld2023.paper import PAPER

__all__ = ["PAPER", "descent", "flow", "landscape"]
