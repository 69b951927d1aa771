"""Hastie, Montanari, Rosset and Tibshirani 2019: ridge regression and interpolation in high dimension."""

from paper_checks.papers.hastie2019 import correlated, isotropic
from paper_checks.papers.hastie2019.paper import PAPER

__all__ = ["PAPER", "correlated", "isotropic"]
