"""The README says what the registry holds."""

import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
readme = runpy.run_path(str(ROOT / "docs" / "readme.py"))


def test_the_table_of_papers_is_up_to_date():
    assert readme["papers_table"]() in (ROOT / "README.md").read_text(), "run `make readme`"


def test_a_block_is_replaced_whole_and_a_missing_one_is_named():
    text = "a\n<!-- x -->\nold\nlines\n<!-- /x -->\nb\n"
    assert readme["fill"](text, "x", "new") == "a\n<!-- x -->\nnew\n<!-- /x -->\nb\n"
    with pytest.raises(ValueError, match="'y'"):
        readme["fill"](text, "y", "new")


def test_the_links_of_the_documents_lead_somewhere():
    import re

    for page in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")]:
        for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_a_run_is_summed_up_a_row_a_paper_and_shown_a_row_a_claim():
    def claim(name, **changes):
        row = {
            "id": f"saxe2013.{name}",
            "paper": "saxe2013",
            "rule": "Identity",
            "status": "confirmed",
            "expected": "confirmed",
            "ok": True,
            "statistic": 1e-13,
            "threshold": 1e-12,
            "resolution": 1e-12,
            "controls": [{"name": "a", "rejected": True}],
            "seconds": 2.0,
        }
        return {**row, **changes}

    erratum = claim("printed", status="refuted", expected="refuted", resolution=None)
    slipped = claim("slipped", ok=False, controls=[{"name": "a", "rejected": False}], resolution=1e-2)
    document = {"claims": [claim("sigmoid"), erratum, slipped], "seed": 7}
    assert readme["summary_rows"](document) == {"saxe2013": "| saxe2013 | 1 | 1 | 1 | 2/3 | 5e-03, 1e-02 | 6 | 7 |"}
    rows = readme["verdict_rows"](document)
    assert list(rows) == ["saxe2013.sigmoid", "saxe2013.printed", "saxe2013.slipped"]
    assert [row.split(" | ")[2] for row in rows.values()] == ["confirmed", "refuted (erratum)", "**confirmed**"]


def test_a_run_renews_its_rows_alone_and_what_is_no_more_goes():
    head = ("| a | b |", "| --- | --- |")
    text = "<!-- verdicts -->\n| a | b |\n| --- | --- |\n| z | 1 |\n| x | 1 |\n| gone | 1 |\n<!-- /verdicts -->\n"
    found = readme["update"](text, head, {"x": "| x | 2 |", "y": "| y | 2 |"}, ["x", "y", "z"]).splitlines()
    assert found[1:-1] == [*head, "| x | 2 |", "| y | 2 |", "| z | 1 |"]
