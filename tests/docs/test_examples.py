"""The Python of the documentation runs as it stands and prints what the page says."""

import io
import re
from contextlib import redirect_stdout
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"
BLOCK = re.compile(r"```(python|text)\n(.*?)```", re.DOTALL)


PAGES = sorted(page.name for page in DOCS.glob("*.md") if "```python" in page.read_text())


@pytest.mark.parametrize("page", PAGES)
def test_examples_print_what_the_page_says(page):
    blocks = BLOCK.findall((DOCS / page).read_text())
    names: dict = {}
    printed = ""
    for kind, text in blocks:
        if kind == "python":
            output = io.StringIO()
            with redirect_stdout(output):
                exec(text, names)
            printed = output.getvalue()
        else:
            assert printed == text
            printed = ""
    assert not printed
