"""Roberts, Yaida and Hanin 2022: criticality of deep networks, their fluctuations, the best aspect ratio."""

from paper_checks.papers.roberts2021 import criticality, decay, half_stable, information, susceptibilities, vertices
from paper_checks.papers.roberts2021.paper import PAPER

__all__ = ["PAPER", "criticality", "decay", "half_stable", "information", "susceptibilities", "vertices"]
