"""All papers of the package, found in ``paper_checks.papers``, and the patterns that select their claims."""

import difflib
import pkgutil
from fnmatch import fnmatchcase
from functools import cache
from importlib import import_module

from paper_checks import papers
from paper_checks.claim import Claim, Paper, RegistrationError, Registry


@cache
def registry() -> Registry:
    """Import every module of ``paper_checks.papers`` and register its ``PAPER``.

    Raises
    ------
    RegistrationError
        If a module has no ``PAPER``, or one of its claims cannot be registered.
    """
    found = []
    for module in pkgutil.iter_modules(papers.__path__, papers.__name__ + "."):
        paper = getattr(import_module(module.name), "PAPER", None)
        if not isinstance(paper, Paper):
            raise RegistrationError(f"module {module.name} must define PAPER, a paper_checks.Paper")
        found.append(paper)
    registered = Registry()
    for paper in sorted(found, key=lambda p: (p.wing, p.year, p.key)):
        registered.add_paper(paper)
    return registered


class UnknownPatternError(ValueError):
    """A pattern that selects nothing."""


def select(*patterns: str) -> list[Claim]:
    """Return the claims that any of the patterns selects, in registry order; all of them without a pattern.

    A pattern is a paper key, a claim id, a wing, or a glob over these.

    Raises
    ------
    UnknownPatternError
        If a pattern selects nothing; the message names the nearest known names.
    """
    known = registry()
    chosen = set()
    for pattern in patterns or ("*",):
        matched = {c.id for c in known.claims.values() if any(fnmatchcase(n, pattern) for n in _names(c))}
        if not matched:
            names = sorted({name for c in known.claims.values() for name in _names(c)})
            near = difflib.get_close_matches(pattern, names, n=4, cutoff=0.4)
            hint = f"nearest: {', '.join(near)}" if near else "see `closedform list`"
            raise UnknownPatternError(f"no paper, claim or wing matches {pattern!r}; {hint}")
        chosen |= matched
    return [c for c in known.claims.values() if c.id in chosen]


def _names(claim: Claim) -> tuple[str, str, str]:
    return claim.id, claim.paper, registry().wing(claim)
