"""Advani, Saxe and Sompolinsky 2017: errors of linear students in high dimension, at every time of training."""

from paper_checks.papers.advani2017 import dynamics, late, regularisation, spectrum, stopping
from paper_checks.papers.advani2017.paper import PAPER

__all__ = ["PAPER", "dynamics", "late", "regularisation", "spectrum", "stopping"]
