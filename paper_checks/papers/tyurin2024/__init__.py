"""Tyurin 2024: gradient descent with large steps on separable logistic regression is a batch perceptron."""

from paper_checks.papers.tyurin2024 import bounds, counts, limits
from paper_checks.papers.tyurin2024.paper import PAPER

__all__ = ["PAPER", "bounds", "counts", "limits"]
