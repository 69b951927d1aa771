"""Mao, Mohri and Zhong 2023: what a small comp-sum loss guarantees about errors, and how little it can be.

With free scores at every input everything happens in two simplices: class probabilities p, and softmax probabilities s.
Least risks are found by moving mass between classes, never by their formula. Beyond tau = 1 and two classes only the
inequality is claimed.
"""

from paper_checks.papers.mao2023 import bounds, inverses, risks
from paper_checks.papers.mao2023.paper import PAPER

__all__ = ["PAPER", "bounds", "inverses", "risks"]
