"""The examples of the documentation run, and the README is as short as it says it is."""

import ast
import builtins
import doctest
import importlib
import re
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_frcnn

ROOT = Path(__file__).resolve().parents[1]
# What an example may use without importing or making it.
GIVEN = {"keras": keras, "keras_frcnn": keras_frcnn, "np": np, "tf": tf}


def test_the_readme_is_short():
    lines = (ROOT / "README.md").read_text("utf-8").splitlines()
    assert len(lines) <= 80 and max(map(len, lines)) <= 120


def test_links_lead_somewhere():
    for page in [ROOT / "README.md", *(ROOT / "docs").glob("*.md"), ROOT / "benchmarks" / "README.md"]:
        text = re.sub(r"```.*?```", "", page.read_text("utf-8"), flags=re.DOTALL)
        for link in re.findall(r"\]\(([^)#:]+)\)", text):
            assert (page.parent / link).exists(), f"{page.name} links to {link}"


def modules():
    for path in sorted((ROOT / "keras_frcnn").rglob("*.py")):
        words = path.relative_to(ROOT).with_suffix("").parts
        if path.stem not in ("__init__", "__main__"):
            yield ".".join(words)


def stands_alone(test):
    """Whether an example names nothing that it has not made, such as a model or a file."""
    tree = ast.parse("".join(example.source for example in test.examples))
    names = [node for node in ast.walk(tree) if isinstance(node, ast.Name)]
    made = {node.id for node in names if isinstance(node.ctx, ast.Store)} | {
        *dir(builtins),
        *test.globs,
        *GIVEN,
        *(alias.asname or alias.name for node in ast.walk(tree) for alias in getattr(node, "names", ())),
    }
    strings = [str(node.value) for node in ast.walk(tree) if isinstance(node, ast.Constant)]
    outside = [text for text in strings if re.search(r"[:/]|\.(keras|jpg|json)$", text)]
    return not outside and all(node.id in made for node in names)


def examples():
    """The docstring examples that need nothing but the package."""
    finder = doctest.DocTestFinder(exclude_empty=True)
    for name in modules():
        module = importlib.import_module(name)
        for test in finder.find(module, module.__name__):
            if test.examples and stands_alone(test):
                yield pytest.param(test, id=test.name)


@pytest.mark.parametrize("test", [*examples()])
def test_docstring_example(test, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    test.globs |= GIVEN
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS)
    said = []
    runner.run(test, out=said.append)
    assert not runner.failures, "".join(said)


def test_there_are_examples():
    assert len([*examples()]) >= 18
