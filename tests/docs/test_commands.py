"""Every command of the documentation exists and takes the options that it is given; quick ones run."""

import importlib
import pathlib
import re
import shlex

import pytest
import tyro

from keras_frcnn import __main__ as program
from keras_frcnn.commands import train

ROOT = pathlib.Path(__file__).parents[2]
PAGES = [
    *(ROOT / name for name in ("README.md", "DESCRIPTION.md", "benchmarks/README.md")),
    *sorted((ROOT / "docs").glob("*.md")),
]
# These run in seconds, on the model and the images of the folder.
QUICK = ("predict", "show", "check-data")
BEGINNINGS = ("python train.py", "python evaluate.py", "python -m keras_frcnn ", "keras-frcnn ")


class Parsed(BaseException):
    """The words are what the command takes; it need not go on."""


def commands(page, beginnings):
    """The lines of a page that begin so, in fenced or indented blocks: lists of words."""
    text = page.read_text("utf-8").replace("\\\n", " ")
    for line in text.splitlines():
        for part in line.split("&&"):
            if part.strip().startswith(beginnings):
                yield shlex.split(part, comments=True)[1:]


def all_commands(beginnings):
    found = {tuple(words) for page in PAGES for words in commands(page, beginnings)}
    return [pytest.param(words, id=" ".join(words)[:80]) for words in sorted(found)]


def name_and_words(words):
    """The command and its arguments."""
    if words[0] == "-m":
        return words[2], list(words[3:])
    return words[0].removesuffix(".py"), list(words[1:])


@pytest.mark.parametrize("words", all_commands(BEGINNINGS))
def test_takes_its_options(words, world, monkeypatch):
    name, rest = name_and_words(words)
    assert name in program.COMMANDS
    real = tyro.cli

    def parse_only(*args, **kwargs):
        result = real(*args, **kwargs)
        if kwargs.get("return_unknown_args"):
            return result
        raise Parsed

    monkeypatch.setattr(tyro, "cli", parse_only)
    with pytest.raises(Parsed):
        if name == "train":  # what --init and --resume name is not there
            train.parse(rest)
        else:
            importlib.import_module(f"keras_frcnn.commands.{name.replace('-', '_')}").main(rest)


@pytest.mark.parametrize(
    "words", [item for item in all_commands(BEGINNINGS) if name_and_words(item.values[0])[0] in QUICK]
)
def test_runs(words, world):
    name, rest = name_and_words(words)
    if not pathlib.Path(rest[rest.index("--model") + 1] if "--model" in rest else ".").exists():
        pytest.skip("a model that no page makes")
    try:
        importlib.import_module(f"keras_frcnn.commands.{name.replace('-', '_')}").main(rest)
    except SystemExit as stop:  # check-data says by its status that something is doubtful
        assert name == "check-data" and stop.code == 1


@pytest.mark.parametrize("words", all_commands(("python benchmarks/",)))
def test_benchmarks_have_their_options(words):
    source = (ROOT / words[0]).read_text("utf-8")
    for option in (word.strip("[]").split("|")[0] for word in words if word.startswith(("--", "[--"))):
        assert re.search(rf'"{option}"', source), f"{words[0]} has no {option}"
