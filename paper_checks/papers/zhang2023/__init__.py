"""Zhang, Frei and Bartlett 2024: what gradient flow makes of linear attention, and what that does in context."""

from paper_checks.papers.zhang2023 import convergence, flow, limit, risk, shifts
from paper_checks.papers.zhang2023.paper import PAPER

__all__ = ["PAPER", "convergence", "flow", "limit", "risk", "shifts"]
