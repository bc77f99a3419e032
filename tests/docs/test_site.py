"""The site has every page, and the notebooks are stored without outputs; `.ci/full` builds and runs them."""

import ast
import json
import pathlib
import re

import pytest

ROOT = pathlib.Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "docs/notebooks").glob("*.ipynb"))


def test_every_page_is_in_the_navigation():
    # Plain text, because only mkdocs itself can parse the icons' names.
    named = {*re.findall(r": ([a-z_0-9]+\.md)$", (ROOT / "mkdocs.yml").read_text("utf-8"), re.MULTILINE)}
    pages = {path.name for path in (ROOT / "docs").glob("*.md")}
    assert named - pages == {"benchmarks.md", "changelog.md"}  # docs/hooks.py adds them
    assert not pages - named


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_notebooks_are_stored_without_outputs(path):
    cells = json.loads(path.read_text("utf-8"))["cells"]
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    assert code and all(cell["outputs"] == [] and cell["execution_count"] is None for cell in code)
    for cell in code:
        ast.parse("".join(line for line in cell["source"] if not line.startswith("%")))


def test_there_are_two_notebooks():
    assert len(NOTEBOOKS) == 2
