"""Rewrite the generated tables of README.md: papers from the registry, verdicts from ``verify --json`` files.

Run ``make readme``. A block between ``<!-- name -->`` and ``<!-- /name -->`` is replaced whole.
"""

import json
import re
import sys
from pathlib import Path

from paper_checks.registry import registry

README = Path(__file__).parent.parent / "README.md"


def papers_table() -> str:
    """Return the table of papers, one row a paper, in registry order."""
    rows = ["| paper | wing | claims | title |", "| --- | --- | --- | --- |"]
    for paper in registry().papers.values():
        link = f"[{paper.key}](https://arxiv.org/abs/{paper.arxiv})" if paper.arxiv else paper.key
        rows.append(f"| {link} | {paper.wing} | {len(paper.claims)} | {paper.authors}: {paper.title} ({paper.year}) |")
    return "\n".join(rows)


def verdicts_table(document: dict) -> str:
    """Return the table of verdicts of one ``verify --json`` document."""
    rows = [
        "| claim | rule | verdict | discrepancy | allowed | resolution | controls rejected | seconds |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for claim in document["claims"]:
        rejected = sum(control["rejected"] for control in claim["controls"])
        cells = [
            claim["id"],
            claim["rule"],
            claim["status"] if claim["ok"] else f"**{claim['status']}**",
            *(_number(claim[key]) for key in ("statistic", "threshold", "resolution")),
            f"{rejected}/{len(claim['controls'])}",
            f"{claim['seconds']:.1f}",
        ]
        rows.append("| " + " | ".join(cells) + " |")
    return "\n".join(rows)


def fill(text: str, name: str, content: str) -> str:
    """Replace the block ``name`` of ``text``; raises ValueError when there is none."""
    pattern = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
    if not pattern.search(text):
        raise ValueError(f"README.md has no block named {name!r}")
    return pattern.sub(lambda found: f"{found[1]}{content}\n{found[2]}", text)


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.1e}"


if __name__ == "__main__":
    readme = fill(README.read_text(), "papers", papers_table())
    for path in sys.argv[1:]:
        readme = fill(readme, "verdicts", verdicts_table(json.loads(Path(path).read_text())))
    README.write_text(readme)
