"""Jacot, Gabriel and Hongler 2018: the neural tangent kernel, and with Lee et al. 2019 what training does under it."""

from paper_checks.papers.jacot2018 import duals, kernels, structure, training
from paper_checks.papers.jacot2018.paper import PAPER

__all__ = ["PAPER", "duals", "kernels", "structure", "training"]
