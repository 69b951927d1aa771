"""Tirer, Huang and Niles-Weed 2022: how features near collapse, and on their way to it, respond."""

from paper_checks.papers.tirer2022 import path, response, spectrum, tied
from paper_checks.papers.tirer2022.paper import PAPER

__all__ = ["PAPER", "path", "response", "spectrum", "tied"]
