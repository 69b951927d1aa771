"""Granziol, Zohren and Roberts 2022: the noise of a batch lifts the top of its Hessian's spectrum."""

from paper_checks.papers.granziol2022 import hessians, rates
from paper_checks.papers.granziol2022.paper import PAPER

__all__ = ["PAPER", "hessians", "rates"]
