"""Rewrite the generated tables: papers from the registry, verdicts from the file that ``verify --json`` wrote.

Run ``make readme``, or ``make readme ARGS=verdicts.json`` after a new run at the standard scale. A block between
``<!-- name -->`` and ``<!-- /name -->`` of README.md or docs/results.md is replaced whole.
"""

import json
import re
import sys
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


def summary_table(document: dict) -> str:
    """Return one row a paper of a ``verify --json`` document: how many claims stood, and how finely they were tried."""
    rows = [
        "| paper | confirmed | errata | not as expected | controls rejected | resolution (median, worst) | seconds |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for paper, group in groupby(document["claims"], key=lambda claim: claim["paper"]):
        claims = list(group)
        fine = [claim["resolution"] for claim in claims if claim["resolution"] is not None]
        controls = [control["rejected"] for claim in claims for control in claim["controls"]]
        cells = [
            paper,
            str(sum(claim["ok"] and claim["expected"] == "confirmed" for claim in claims)),
            str(sum(claim["ok"] and claim["expected"] == "refuted" for claim in claims) or "–"),
            str(sum(not claim["ok"] for claim in claims) or "–"),
            f"{sum(controls)}/{len(controls)}",
            f"{median(fine):.0e}, {max(fine):.0e}" if fine else "–",
            f"{sum(claim['seconds'] for claim in claims):.0f}",
        ]
        rows.append("| " + " | ".join(cells) + " |")
    return "\n".join(rows)


def verdicts_table(document: dict) -> str:
    """Return every verdict of a ``verify --json`` document, a row each."""
    rows = [
        "| claim | rule | verdict | discrepancy | allowed | resolution | controls rejected | seconds |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for claim in document["claims"]:
        rejected = sum(control["rejected"] for control in claim["controls"])
        status = f"{claim['status']} (erratum)" if claim["expected"] == "refuted" else claim["status"]
        cells = [
            claim["id"],
            claim["rule"],
            status if claim["ok"] else f"**{status}**",
            *(_number(claim[key]) for key in ("statistic", "threshold", "resolution")),
            f"{rejected}/{len(claim['controls'])}",
            f"{claim['seconds']:.1f}",
        ]
        rows.append("| " + " | ".join(cells) + " |")
    return "\n".join(rows)


def circumstances(document: dict) -> str:
    """Say in one line how the run of a ``verify --json`` document was made."""
    return (
        f"closedform {document['version']}, scale `{document['scale']}`, seed {document['seed']}, device: "
        f"{document['device']}, {document['seconds']:.0f} s in all."
    )


def fill(text: str, name: str, content: str) -> str:
    """Replace the block ``name`` of ``text``; raises ValueError when there is none."""
    pattern = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
    if not pattern.search(text):
        raise ValueError(f"no block is named {name!r}")
    return pattern.sub(lambda found: f"{found[1]}{content}\n{found[2]}", text)


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.1e}"


if __name__ == "__main__":
    readme = fill(README.read_text(), "papers", papers_table())
    if len(sys.argv) > 1:
        document = json.loads(Path(sys.argv[1]).read_text())
        readme = fill(readme, "verdicts", f"{summary_table(document)}\n\n{circumstances(document)}")
        results = f"{circumstances(document)}\n\n{verdicts_table(document)}"
        RESULTS.write_text(fill(RESULTS.read_text(), "verdicts", results))
    README.write_text(readme)
