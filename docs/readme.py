"""Rewrite the generated tables: papers from the registry, verdicts from the file that ``verify --json`` wrote.

Run ``make readme``, or ``make readme ARGS=verdicts.json`` after a new run at the standard scale. Blocks lie between
``<!-- name -->`` and ``<!-- /name -->`` of README.md and docs/results.md. Verdicts of a run of some papers replace the
rows of these papers, and rows of papers and claims that are no more are dropped.
"""

import json
import re
import sys
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from statistics import median

from paper_checks.registry import registry

README = Path(__file__).parent.parent / "README.md"
RESULTS = Path(__file__).parent / "results.md"


def papers_table() -> str:
    """Return the table of papers, one row a paper, in registry order."""
    rows = ["| paper | wing | claims | title |", "| --- | --- | --- | --- |"]
    for paper in registry().papers.values():
        link = f"[{paper.key}](https://arxiv.org/abs/{paper.arxiv})" if paper.arxiv else paper.key
        rows.append(f"| {link} | {paper.wing} | {len(paper.claims)} | {paper.authors}: {paper.title} ({paper.year}) |")
    return "\n".join(rows)


SUMMARY_HEAD = (
    "| paper | confirmed | errata | not as expected | controls rejected | resolution: median, worst | seconds | seed |",
    "| --- | --- | --- | --- | --- | --- | --- | --- |",
)
VERDICTS_HEAD = (
    "| claim | rule | verdict | discrepancy | allowed | resolution | controls rejected | seconds | seed |",
    "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
)


def summary_rows(document: dict) -> dict[str, str]:
    """Return one row a paper of a ``verify --json`` document: how many claims stood, and how finely they were tried."""
    rows = {}
    for paper, group in groupby(document["claims"], key=lambda claim: claim["paper"]):
        claims = list(group)
        fine = [claim["resolution"] for claim in claims if claim["resolution"] is not None]
        controls = [control["rejected"] for claim in claims for control in claim["controls"]]
        rows[paper] = _row(
            paper,
            str(sum(claim["ok"] and claim["expected"] == "confirmed" for claim in claims)),
            str(sum(claim["ok"] and claim["expected"] == "refuted" for claim in claims) or "–"),
            str(sum(not claim["ok"] for claim in claims) or "–"),
            f"{sum(controls)}/{len(controls)}",
            f"{median(fine):.0e}, {max(fine):.0e}" if fine else "–",
            f"{sum(claim['seconds'] for claim in claims):.0f}",
            str(document["seed"]),
        )
    return rows


def verdict_rows(document: dict) -> dict[str, str]:
    """Return every verdict of a ``verify --json`` document, a row each."""
    rows = {}
    for claim in document["claims"]:
        rejected = sum(control["rejected"] for control in claim["controls"])
        status = f"{claim['status']} (erratum)" if claim["expected"] == "refuted" else claim["status"]
        rows[claim["id"]] = _row(
            claim["id"],
            claim["rule"],
            status if claim["ok"] else f"**{status}**",
            *(_number(claim[key]) for key in ("statistic", "threshold", "resolution")),
            f"{rejected}/{len(claim['controls'])}",
            f"{claim['seconds']:.1f}",
            str(document["seed"]),
        )
    return rows


def update(text: str, head: tuple[str, str], rows: dict[str, str], order: Sequence[str]) -> str:
    """Return the table of the block ``verdicts`` of ``text`` with ``rows`` in place, in ``order``."""
    lines = _block("verdicts").search(text)[2].splitlines()
    rows = {line.split("|")[1].strip(): line for line in lines if line.startswith("|")} | rows
    return fill(text, "verdicts", "\n".join([*head, *(rows[name] for name in order if name in rows)]))


def fill(text: str, name: str, content: str) -> str:
    """Replace the block ``name`` of ``text``; raises ValueError when there is none."""
    pattern = _block(name)
    if not pattern.search(text):
        raise ValueError(f"no block is named {name!r}")
    return pattern.sub(lambda found: f"{found[1]}{content}\n{found[3]}", text)


def _block(name: str) -> re.Pattern[str]:
    return re.compile(rf"(<!-- {name} -->\n)(.*?)(<!-- /{name} -->)", re.DOTALL)


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.1e}"


if __name__ == "__main__":
    readme = fill(README.read_text(), "papers", papers_table())
    for verdicts in sys.argv[1:]:
        document = json.loads(Path(verdicts).read_text())
        readme = update(readme, SUMMARY_HEAD, summary_rows(document), list(registry().papers))
        results = update(RESULTS.read_text(), VERDICTS_HEAD, verdict_rows(document), list(registry().claims))
        RESULTS.write_text(results)
    README.write_text(readme)
