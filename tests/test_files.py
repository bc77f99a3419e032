"""Files are whole or not there."""

import json
import os
import subprocess
import sys

import pytest

from keras_frcnn import files

# The module alone, because TensorFlow takes eight seconds to import.
LOAD = f"""
import importlib.util, os, sys
spec = importlib.util.spec_from_file_location("files", {files.__file__!r})
files = importlib.util.module_from_spec(spec)
spec.loader.exec_module(files)
"""


def test_replaces_at_the_end(tmp_path):
    path = tmp_path / "a.json"
    path.write_text("old")
    with files.replacing(path) as partial:
        partial.write_text("new")
        assert path.read_text() == "old" and partial.suffix == ".json" and partial.parent == tmp_path
    assert path.read_text() == "new" and list(tmp_path.iterdir()) == [path]


def test_an_error_leaves_the_old_file_and_nothing_beside_it(tmp_path):
    path = tmp_path / "a.txt"
    files.write_text(path, "old\n")
    with pytest.raises(RuntimeError), files.replacing(path) as partial:
        partial.write_text("ha")
        raise RuntimeError
    assert path.read_text() == "old\n" and list(tmp_path.iterdir()) == [path]


def test_a_killed_process_leaves_the_old_file(tmp_path):
    files.write_json(tmp_path / "a.json", {"weiß": 1})
    script = (
        LOAD
        + """
with files.replacing(sys.argv[1]) as partial:
    partial.write_text("half")
    os._exit(1)
"""
    )
    subprocess.run([sys.executable, "-c", script, tmp_path / "a.json"], check=False)
    assert json.loads((tmp_path / "a.json").read_text("utf-8")) == {"weiß": 1}


def test_a_device_is_written_directly():
    files.write_text("/dev/null", "nothing")
    assert not os.path.isfile("/dev/null")


def test_standard_output_is_written_directly_even_if_it_is_a_file(tmp_path):
    script = LOAD + "print('before', flush=True); files.write_text('/dev/stdout', 'x')"
    with open(tmp_path / "log", "w") as log:
        subprocess.run([sys.executable, "-c", script], stdout=log, check=True)
    assert "x" in (tmp_path / "log").read_text() and os.path.islink("/dev/stdout")
    assert [file.name for file in tmp_path.iterdir()] == ["log"]


def test_a_link_stays_and_its_file_is_replaced(tmp_path):
    (tmp_path / "there").mkdir()
    link, file = tmp_path / "link.txt", tmp_path / "there" / "file.txt"
    file.write_text("old")
    link.symlink_to(file)
    files.write_text(link, "new")
    assert link.is_symlink() and file.read_text() == "new"
