"""Files are whole or not there."""

import json
import os
import subprocess
import sys

import pytest

from keras_frcnn import files


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
    script = """
import os, sys
from keras_frcnn import files
with files.replacing(sys.argv[1]) as partial:
    partial.write_text("half")
    os._exit(1)
"""
    subprocess.run([sys.executable, "-c", script, tmp_path / "a.json"], env={**os.environ}, check=False)
    assert json.loads((tmp_path / "a.json").read_text("utf-8")) == {"weiß": 1}


def test_a_device_is_written_directly():
    files.write_text("/dev/null", "nothing")
    assert not os.path.isfile("/dev/null")
