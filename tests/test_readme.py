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
