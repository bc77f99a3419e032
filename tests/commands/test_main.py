import importlib
import os
import pathlib
import pkgutil
import subprocess
import sys

import pytest

from keras_frcnn import __main__ as program
from keras_frcnn import commands

ROOT = pathlib.Path(__file__).parents[2]


def test_help_lists_exactly_the_commands_there_are(capsys):
    assert program.main(["--help"]) == 0
    lines = capsys.readouterr().out.splitlines()
    listed = [line.split()[0] for line in lines if line.startswith("  ")]
    modules = {
        name: importlib.import_module(f"keras_frcnn.commands.{name}")
        for _, name, _ in pkgutil.iter_modules(commands.__path__)
    }
    programs = [name.replace("_", "-") for name, module in modules.items() if hasattr(module, "main")]
    assert sorted(listed) == sorted(programs)


def test_a_command_runs_as_a_program():
    words = [sys.executable, "-m", "keras_frcnn", "evaluate", "--model", "absent.keras", "--data", "nothing"]
    usual = {name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"}
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, env=usual)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("'nothing' names no data set")
    assert "cpu_feature_guard" not in done.stderr  # what TensorFlow says by default


@pytest.mark.parametrize("name", ["train", "evaluate"])
def test_the_shells_at_the_top_call_their_command(name, monkeypatch):
    module = importlib.import_module(f"keras_frcnn.commands.{name}")
    called = []
    monkeypatch.setattr(module, "main", lambda: called.append(name))
    source = (ROOT / f"{name}.py").read_text()
    exec(compile(source, f"{name}.py", "exec"), {"__name__": "__main__"})
    assert called == [name]


def test_words_after_the_command_are_its_own(monkeypatch):
    module = importlib.import_module("keras_frcnn.commands.train")
    monkeypatch.setattr(sys, "argv", ["before"])
    called = []
    monkeypatch.setattr(module, "main", lambda: called.append(list(sys.argv)))
    assert program.main(["train", "--epochs", "3"]) == 0
    assert called == [["python -m keras_frcnn train", "--epochs", "3"]]


def test_help_calls_the_script_by_its_name(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["/somewhere/bin/keras-frcnn", "--help"])
    with pytest.raises(SystemExit) as stop:
        program.script()
    assert stop.value.code == 0
    assert capsys.readouterr().out.startswith("usage: keras-frcnn COMMAND ...")


def test_the_script_is_installed():
    script = pathlib.Path(sys.executable).with_name("keras-frcnn")
    done = subprocess.run([script, "trian"], capture_output=True, text=True, timeout=120)
    assert done.returncode == 2 and "There is no command 'trian'; did you mean train?" in done.stderr


@pytest.mark.parametrize("words", [[], ["fly"]])
def test_refuses_what_is_no_command(words, capsys):
    assert program.main(words) == 2
    captured = capsys.readouterr()
    assert "train" in captured.err and not captured.out
