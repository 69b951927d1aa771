"""Reports: verdicts and claims as tables for a terminal, a notebook, and other programs."""

import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from html import escape
from importlib.metadata import version
from itertools import groupby
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from paper_checks.claim import Claim
from paper_checks.verdict import SCHEMA, Verdict

_STYLES = {"confirmed": "green", "refuted": "red", "inconclusive": "yellow", "error": "red"}
_COLUMNS = ("claim", "verdict", "discrepancy", "allowed", "resolution", "controls", "seconds")


@dataclass
class Report:
    """The verdicts of one run, a sequence that prints as a table a paper."""

    scale: str
    seed: int
    verdicts: list[Verdict] = field(default_factory=list)
    seconds: float = 0.0
    interrupted: bool = False

    @property
    def ok(self) -> bool:
        """Whether the run came to its end, and every verdict is the expected one with every control rejected."""
        return not self.interrupted and bool(self.verdicts) and all(verdict.ok for verdict in self.verdicts)

    @property
    def summary(self) -> str:
        """One line: how many claims came out as expected, and the rest by status."""
        wrong = [v for v in self.verdicts if not v.ok]
        controls = [c for v in self.verdicts for c in v.controls]
        text = (
            f"{len(self.verdicts) - len(wrong)} of {len(self.verdicts)} claims as expected, "
            f"{sum(c.rejected for c in controls)} of {len(controls)} controls rejected "
            f"({self.scale}, seed {self.seed}, {self.seconds:.1f} s)"
        )
        return f"interrupted: {text}" if self.interrupted else text

    def to_json(self) -> dict[str, Any]:
        """Return the document of schema 1."""
        devices = sorted({v.device for v in self.verdicts})
        return {
            "schema": SCHEMA,
            "version": version("closedform"),
            "scale": self.scale,
            "seed": self.seed,
            "device": ", ".join(devices) or "unknown",
            "seconds": round(self.seconds, 3),
            "claims": [verdict.row() for verdict in self.verdicts],
        }

    def tables(self) -> Iterator[Table]:
        """Yield one rich table a paper."""
        for paper, verdicts in groupby(self.verdicts, key=lambda v: v.paper):
            table = Table(title=paper, title_justify="left", title_style="bold")
            for column in _COLUMNS:
                table.add_column(column, justify="left" if column in ("claim", "verdict") else "right", no_wrap=True)
            for verdict in verdicts:
                name, status, *numbers = _cells(verdict)
                table.add_row(name, Text(status, _STYLES[verdict.status] if not verdict.ok else "green"), *numbers)
            yield table

    def failures(self) -> Iterator[str]:
        """Yield a line for every verdict that is not as expected."""
        for verdict in self.verdicts:
            if not verdict.ok:
                yield f"{verdict.id}: {verdict.status}. {verdict.reason}"

    def __iter__(self) -> Iterator[Verdict]:
        return iter(self.verdicts)

    def __len__(self) -> int:
        return len(self.verdicts)

    def __getitem__(self, which: int | str) -> Verdict:
        if isinstance(which, str):
            return {v.id: v for v in self.verdicts}[which]
        return self.verdicts[which]

    def __repr__(self) -> str:
        return _as_text([*self.tables(), *self.failures(), self.summary])

    def _repr_html_(self) -> str:
        failures = "".join(f"<p>{escape(line)}</p>" for line in self.failures())
        return _html_table(_COLUMNS, map(_cells, self.verdicts)) + failures + f"<p>{escape(self.summary)}</p>"


class Catalogue(Sequence[Claim]):
    """Claims, as a sequence that prints as a table."""

    columns = ("claim", "rule", "expected", "controls", "source")

    def __init__(self, claims: Iterable[Claim]):
        self._claims = list(claims)

    def __getitem__(self, which: Any) -> Any:
        return self._claims[which]

    def __len__(self) -> int:
        return len(self._claims)

    def rows(self) -> Iterator[tuple[str, ...]]:
        """Yield the cells of the table, row by row."""
        for claim in self._claims:
            yield claim.id, claim.agreement.name, claim.expected, str(len(claim.controls)), claim.source

    def table(self) -> Table:
        """Return the rich table."""
        table = Table()
        for column in self.columns:
            table.add_column(column, no_wrap=column != "source")
        for row in self.rows():
            table.add_row(*map(Text, row))
        return table

    def __repr__(self) -> str:
        return _as_text([self.table()])

    def _repr_html_(self) -> str:
        return _html_table(self.columns, self.rows())


def number(value: float | None) -> str:
    """Format a relative size in a table."""
    return "–" if value is None else f"{value:.2g}"


def _cells(verdict: Verdict) -> tuple[str, ...]:
    status = "refuted (erratum)" if verdict.status == verdict.expected == "refuted" else verdict.status
    return (
        verdict.id.partition(".")[2],
        status if verdict.ok or verdict.status != verdict.expected else f"{status}, control slipped",
        number(verdict.statistic),
        number(verdict.threshold),
        number(verdict.resolution),
        verdict.rejected,
        f"{verdict.seconds:.2f}",
    )


def _as_text(parts: Iterable[Any]) -> str:
    console = Console(file=io.StringIO(), width=120, color_system=None)
    for part in parts:
        console.print(part, markup=False, highlight=False)
    return console.file.getvalue().rstrip()  # type: ignore[attr-defined]


def _html_table(columns: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    head = "".join(f"<th>{escape(c)}</th>" for c in columns)
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
