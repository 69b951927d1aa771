"""Dang et al. 2023: neural collapse of deep linear heads over free features, balanced and imbalanced."""

from paper_checks.papers.dang2023 import balanced, cross_entropy, imbalanced, networks, phases
from paper_checks.papers.dang2023.paper import PAPER

__all__ = ["PAPER", "balanced", "cross_entropy", "imbalanced", "networks", "phases"]
