"""Files are whole or not there."""

import errno
import json
import os
import subprocess
import sys
import types

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


def test_a_name_as_long_as_names_may_be(tmp_path):
    names = {f"{'x' * 246}.json", f"a.{'b' * 250}", f"{'ä' * 120}.json"}
    for name in names:
        files.write_json(tmp_path / name, {})
    assert {file.name for file in tmp_path.iterdir()} == names


def test_bytes_of_names_that_are_no_letters(tmp_path):
    files.write_text(tmp_path / "a.txt", os.fsdecode(b"caf\xe9.jpg"))
    assert (tmp_path / "a.txt").read_text("utf-8") == r"caf\udce9.jpg"


def test_a_growing_text_appears_at_its_end(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    text = files.GrowingText(path)
    text.add("one,")
    text.add("zwei")
    assert path.read_text() == "old"
    text.close()
    assert path.read_text() == "one,zwei" and [*tmp_path.iterdir()] == [path]
    files.GrowingText(path).close()
    assert path.read_text() == ""


def test_a_growing_text_that_fails_leaves_the_old_one(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    text = files.GrowingText(path)
    text.add("one")

    def full(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    text._file = types.SimpleNamespace(write=full)
    with pytest.raises(
        OSError, match=r"a\.txt cannot be written \(No space left .*what was there before stays"
    ):
        text.add("two")
    text.add("three")
    text.close()
    assert path.read_text() == "old" and [*tmp_path.iterdir()] == [path]
