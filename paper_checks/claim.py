"""Papers, claims and trials: a problem stated once, and the answers to it."""

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import numpy as np

from paper_checks.agreement import Agreement
from paper_checks.evidence import Thunk

if TYPE_CHECKING:
    import jax

SCALES = ("quick", "standard", "full")

Size = TypeVar("Size")


@dataclass(frozen=True)
class Run:
    """The circumstances of one run of one claim: scale, seed, and the random streams that follow from them.

    Streams are pure functions of (seed, claim, name), so adding a claim or a draw changes no other.
    """

    claim: str
    scale: str = "quick"
    seed: int = 0
    sizes: dict[str, Any] = field(default_factory=dict, compare=False)

    def size(self, name: str, *, quick: Size, standard: Size, full: Size) -> Size:
        """Pick a size by the run's scale, and record it under ``name`` for the report."""
        chosen = {"quick": quick, "standard": standard, "full": full}[self.scale]
        self.sizes[name] = chosen
        return chosen

    def rng(self, name: str = "problem") -> np.random.Generator:
        """Return the NumPy generator of the stream ``name``; the same name starts the same stream again."""
        return np.random.default_rng(self._entropy(name))

    def key(self, name: str = "simulation") -> "jax.Array":
        """Return the JAX key of the stream ``name``."""
        import jax

        return jax.random.key(self._entropy(name) % 2**63)

    def keys(self, number: int, name: str = "simulation") -> "jax.Array":
        """Return ``number`` JAX keys, one a replicate, of the stream ``name``."""
        import jax

        return jax.random.split(self.key(name), number)

    def _entropy(self, name: str) -> int:
        digest = hashlib.sha256(f"{self.seed}/{self.claim}/{name}".encode()).digest()
        return int.from_bytes(digest[:16], "big")


@dataclass(frozen=True)
class Trial:
    """One problem with its answers, none of them computed yet.

    Attributes
    ----------
    predict
        What the theory says.
    measure
        What the simulation finds; knows nothing of the theory, and is stored.
    controls
        Wrong predictions, by name; the rule must refute each against the same measurement.
    counterexamples
        Measurements, by name, of systems for which the statement is false; the rule must refute the true prediction
        against each.
    scale
        Natural size against which deviations are relative: None for each component's own, "largest", numbers, or a
        thunk that returns any of these.
    """

    predict: Thunk
    measure: Thunk
    controls: Mapping[str, Thunk] = field(default_factory=dict)
    counterexamples: Mapping[str, Thunk] = field(default_factory=dict)
    scale: Any = None


@dataclass(frozen=True)
class Claim:
    """A statement of a paper, the rule by which it is tried, and how to set up its trial."""

    id: str
    statement: str
    source: str
    agreement: Agreement
    controls: tuple[str, ...]
    build: Callable[[Run], Trial] = field(repr=False)
    expected: Literal["confirmed", "refuted"] = "confirmed"

    @property
    def paper(self) -> str:
        """Key of the paper, the part of the id before the dot."""
        return self.id.partition(".")[0]


class RegistrationError(ValueError):
    """A claim or a paper that the registry cannot accept."""


@dataclass(frozen=True, eq=False)
class Paper:
    """A paper, and the claims that its module attaches to it."""

    key: str
    title: str
    authors: str
    year: int
    wing: str
    arxiv: str = ""
    claims: dict[str, Claim] = field(default_factory=dict, repr=False)

    def claim(
        self,
        name: str,
        *,
        statement: str,
        source: str,
        agreement: Agreement,
        controls: tuple[str, ...] | list[str],
        expected: Literal["confirmed", "refuted"] = "confirmed",
    ) -> Callable[[Callable[[Run], Trial]], Callable[[Run], Trial]]:
        """Decorate the function that builds the trial of the claim ``key.name``.

        ``controls`` names the negative controls that the trial holds, so that a claim without one cannot be
        registered; ``expected="refuted"`` records an erratum.

        Raises
        ------
        RegistrationError
            If no control is named, the name is taken or unfit for a file, or the rule states no accepted resolution.
        """

        def register(build: Callable[[Run], Trial]) -> Callable[[Run], Trial]:
            claim = Claim(f"{self.key}.{name}", statement, source, agreement, tuple(controls), build, expected)
            _check(claim)
            if claim.id in self.claims:
                raise RegistrationError(f"claim {claim.id} is registered twice")
            self.claims[claim.id] = claim
            return build

        return register


class Registry:
    """All papers and claims, in the order in which they were added."""

    def __init__(self) -> None:
        self.papers: dict[str, Paper] = {}
        self.claims: dict[str, Claim] = {}

    def add_paper(self, paper: Paper) -> None:
        """Add a paper with its claims."""
        if paper.key in self.papers:
            raise RegistrationError(f"paper {paper.key} is registered twice")
        self.papers[paper.key] = paper
        for claim in paper.claims.values():
            self.add(claim)

    def add(self, claim: Claim) -> None:
        """Add one claim of a known paper."""
        _check(claim)
        if claim.id in self.claims:
            raise RegistrationError(f"claim {claim.id} is registered twice")
        if claim.paper not in self.papers:
            known = ", ".join(self.papers) or "none"
            raise RegistrationError(f"claim {claim.id} belongs to the unknown paper {claim.paper!r}; known: {known}")
        self.claims[claim.id] = claim

    def wing(self, claim: Claim) -> str:
        """Return the wing of the claim's paper."""
        return self.papers[claim.paper].wing


def _check(claim: Claim) -> None:
    if not re.fullmatch(r"\w+\.\w[\w-]*", claim.id):
        raise RegistrationError(f"claim ids must be a paper's key, a dot and a name of letters; got {claim.id!r}")
    if claim.agreement.measures_resolution and claim.agreement.resolution is None:
        raise RegistrationError(f"claim {claim.id} must state the coarsest resolution that its rule accepts")
    if not claim.controls:
        raise RegistrationError(f"claim {claim.id} has no negative control; a claim that cannot fail is a defect")
    if len(set(claim.controls)) < len(claim.controls):
        raise RegistrationError(f"claim {claim.id} names a control twice: {list(claim.controls)}")
    if claim.expected not in ("confirmed", "refuted"):
        raise RegistrationError(f"claim {claim.id} must expect 'confirmed' or 'refuted'; got {claim.expected!r}")
