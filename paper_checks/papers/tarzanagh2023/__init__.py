"""Tarzanagh, Li, Thrampoulidis and Oymak 2023: trained attention as a support vector machine over tokens."""

from paper_checks.papers.tarzanagh2023 import machines, paths, selection, training, training_offsets
from paper_checks.papers.tarzanagh2023.paper import PAPER

__all__ = ["PAPER", "machines", "paths", "selection", "training", "training_offsets"]
