"""Imports go down the rows of the table in docs/architecture.md, and nowhere else."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "keras_frcnn"


def rows():
    """The rooms of each row, from the top."""
    text = (ROOT / "docs" / "architecture.md").read_text("utf-8")
    table = text.split("| rooms |", 1)[1].split("\n\n", 1)[0]
    cells = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    return [
        [name.removesuffix("/").removesuffix(".py") for name in re.findall(r"`([^`]+)`", cell)]
        for cell in cells
    ]


def room(path):
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported(tree):
    """The rooms that a file imports, also inside its functions."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            if node.module == "keras_frcnn":
                yield from (alias.name for alias in node.names)
            elif (node.module or "").startswith("keras_frcnn."):
                yield node.module.split(".")[1]
        elif isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.split(".")[0] == "keras_frcnn":
                    yield (alias.name.split(".") + ["__init__"])[1]


def test_the_table_has_every_room():
    there = {room(path) for path in PACKAGE.rglob("*.py")}
    named = [name for row in rows() for name in row]
    assert sorted(named) == sorted(there)


@pytest.mark.parametrize("name", [name for row in rows() for name in row])
def test_arrows_go_down(name):
    floor = {room: number for number, row in enumerate(rows()) for room in row}
    files = [path for path in PACKAGE.rglob("*.py") if room(path) == name]
    for file in files:
        others = {other for other in imported(ast.parse(file.read_text("utf-8"))) if other != name}
        up = sorted(other for other in others if floor[other] <= floor[name])
        assert not up, (
            f"{file.relative_to(ROOT)} imports {', '.join(up)}, which {name} stands below or beside"
        )


def test_no_file_is_long():
    long = {
        path.name: count
        for path in PACKAGE.rglob("*.py")
        if (count := len(path.read_text("utf-8").splitlines())) > 300
    }
    assert not long
