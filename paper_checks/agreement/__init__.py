"""The rules of agreement: when theory and measurement are said to agree, and how finely that was tried."""

from paper_checks.agreement.base import Agreement, Judge, Judgement, Status, natural_scale
from paper_checks.agreement.exact import ExactRational, Identity
from paper_checks.agreement.limits import ConvergenceOrder, FiniteSize
from paper_checks.agreement.means import Bound, Equivalence, MonteCarlo, Ordering

__all__ = [
    "Agreement",
    "Bound",
    "ConvergenceOrder",
    "Equivalence",
    "ExactRational",
    "FiniteSize",
    "Identity",
    "Judge",
    "Judgement",
    "MonteCarlo",
    "Ordering",
    "Status",
    "natural_scale",
]
