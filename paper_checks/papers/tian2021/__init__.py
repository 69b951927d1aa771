"""Tian, Chen and Ganguli 2021: why self-supervised learning without contrastive pairs does not collapse."""

from paper_checks.papers.tian2021 import alignment, collapse, direct, dynamics, ingredients, modes
from paper_checks.papers.tian2021.paper import PAPER

__all__ = ["PAPER", "alignment", "collapse", "direct", "dynamics", "ingredients", "modes"]
