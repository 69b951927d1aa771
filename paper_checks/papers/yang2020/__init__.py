"""Yang and Hu 2021: which parametrisations learn features at infinite width, and what is learned there."""

from paper_checks.papers.yang2020 import exponents, limits, networks, populations
from paper_checks.papers.yang2020.paper import PAPER

__all__ = ["PAPER", "exponents", "limits", "networks", "populations"]
