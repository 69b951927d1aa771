"""Simon, Karkada, Ghosh and Belkin 2023, after the eigenlearning framework of 2021: curves of ridge regression."""

from paper_checks.papers.simon2023 import learning, overfitting, risks
from paper_checks.papers.simon2023.paper import PAPER

__all__ = ["PAPER", "learning", "overfitting", "risks"]
