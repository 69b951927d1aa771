"""Feldman 2020: why items that are seen once have to be fitted when frequencies have a long tail."""

from paper_checks.papers.feldman2019 import costs, errors, posteriors, tails
from paper_checks.papers.feldman2019.paper import PAPER

__all__ = ["PAPER", "costs", "errors", "posteriors", "tails"]
