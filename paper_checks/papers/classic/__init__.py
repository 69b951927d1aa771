"""Classical bounds on generalisation: tails, PAC-Bayes, complexities, stability, information."""

from paper_checks.papers.classic import complexity, divergence, information, pac_bayes, stability, tails, violations
from paper_checks.papers.classic.paper import PAPER

__all__ = ["PAPER", "complexity", "divergence", "information", "pac_bayes", "stability", "tails", "violations"]
