"""Radhakrishnan, Belkin and Uhler 2023: classification by infinitely wide and deep networks."""

from paper_checks.papers.radhakrishnan2022 import classifiers, kernels
from paper_checks.papers.radhakrishnan2022.paper import PAPER

__all__ = ["PAPER", "classifiers", "kernels"]
