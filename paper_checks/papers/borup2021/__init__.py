"""Borup and Andersen 2021: what becomes of a ridge regression that is taught by itself, and by labels, again and again.

Students are readouts of networks whose hidden layers stay as drawn; each minimises its own loss. Theory sees their Gram
matrices alone. Where directions are told apart, features have prescribed singular vectors, and fits are read off along
them.
"""

from paper_checks.papers.borup2021 import directions, fits, tuning
from paper_checks.papers.borup2021.paper import PAPER

__all__ = [
    "PAPER",
    "directions",
    "fits",
    "tuning",
]
