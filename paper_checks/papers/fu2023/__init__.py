"""Fu, Chen, Jia and Sharan 2023: Newton's iteration in context, and the transformers that look like it."""

from paper_checks.papers.fu2023 import attention, counting, iteration, population, streams, trained
from paper_checks.papers.fu2023.paper import PAPER

__all__ = ["PAPER", "attention", "counting", "iteration", "population", "streams", "trained"]
