"""Javanmard, Chen, Mirrokni, Badanidiyuru and Fu 2024: learning from mean labels of bags, and how large bags should be.

Simulations draw samples, bag them, disturb mean labels where privacy asks for it, and minimise the two losses as they
are written.
"""

from paper_checks.papers.javanmard2024 import exact, mixtures, orderings
from paper_checks.papers.javanmard2024.paper import PAPER

__all__ = [
    "PAPER",
    "exact",
    "mixtures",
    "orderings",
]
