"""He and Goldfeld 2024: information-theoretic bounds on generalisation, layer by layer."""

from paper_checks.papers.he2024 import channels, finite, gaussian, layers
from paper_checks.papers.he2024.paper import PAPER

__all__ = ["PAPER", "channels", "finite", "gaussian", "layers"]
