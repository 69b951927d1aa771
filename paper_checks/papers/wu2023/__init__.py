"""Wu and Su 2023: the step size at which SGD is stable bounds the trace of the Hessian, not only its top."""

from paper_checks.papers.wu2023 import linear, networks
from paper_checks.papers.wu2023.paper import PAPER

__all__ = ["PAPER", "linear", "networks"]
