"""von Oswald et al. 2022: linear attention layers that perform gradient descent on their context."""

from paper_checks.papers.vonoswald2022 import constructions, gdpp, optimum, trained
from paper_checks.papers.vonoswald2022.paper import PAPER

__all__ = ["PAPER", "constructions", "gdpp", "optimum", "trained"]
