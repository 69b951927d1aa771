"""Where theory and simulation meet: claims, the rules that judge them, and the runs that try them.

>>> import paper_checks
>>> report = paper_checks.verify("saxe2013.hessian")  # doctest: +SKIP
>>> report.ok  # doctest: +SKIP
True
"""

from paper_checks.agreement import (
    Bound,
    ConvergenceOrder,
    Equivalence,
    ExactRational,
    FiniteSize,
    Identity,
    MonteCarlo,
    Ordering,
)
from paper_checks.claim import Claim, Paper, RegistrationError, Run, Trial
from paper_checks.evidence import Exact, Limit, Samples, Sizes, Steps, components
from paper_checks.registry import select
from paper_checks.report import Catalogue, Report
from paper_checks.runner import verify
from paper_checks.verdict import Verdict


def claims(*patterns: str) -> Catalogue:
    """Return the claims that any of the patterns selects, as a sequence that displays as a table."""
    return Catalogue(select(*patterns))


__all__ = [
    "Bound",
    "Catalogue",
    "Claim",
    "ConvergenceOrder",
    "Equivalence",
    "Exact",
    "ExactRational",
    "FiniteSize",
    "Identity",
    "Limit",
    "MonteCarlo",
    "Ordering",
    "Paper",
    "RegistrationError",
    "Report",
    "Run",
    "Samples",
    "Sizes",
    "Steps",
    "Trial",
    "Verdict",
    "claims",
    "components",
    "verify",
]
