import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time
import zipfile

import numpy as np
import pytest

from keras_frcnn import data
from keras_frcnn.commands import proposals as command
from keras_frcnn.data import proposals, selective_search

EXPORT = pathlib.Path(__file__).parents[1] / "stored/earlier/one_map.zip"


@pytest.fixture(autouse=True)
def small_shards(monkeypatch):
    monkeypatch.setattr(proposals, "SHARD_IMAGES", 2)


@pytest.fixture
def words(voc, tmp_path):
    return ["--data", f"voc:{voc}@train", "--output", str(tmp_path / "found")]


def refusal(capsys, *words):
    """The one sentence that the command ends with."""
    with pytest.raises(SystemExit) as stop:
        command.main([str(word) for word in words])
    assert stop.value.code == 1
    sentence = capsys.readouterr().err.strip()
    assert "\n" not in sentence and sentence.endswith(".")
    return sentence


def shards(folder):
    return {path.name: path.read_bytes() for path in folder.glob("[!.]*.npz")}


def test_writes_shards_and_their_recall(words, voc, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("keras_frcnn.callbacks.progress.INTERVAL", 0)
    curve = command.main([*words, "--workers", "2"])
    folder = tmp_path / "found"
    assert sorted(path.name for path in folder.iterdir()) == [
        *(f"proposals-0000{number}-of-00003.npz" for number in range(3)),
        *("proposals.json", "recall.json", "recall.png"),
    ]
    assert json.loads((folder / "recall.json").read_text()) == curve
    assert curve["images"] == 6 and curve["recall"]["0.5"][-1] > 0.3
    output = capsys.readouterr().out
    assert "6 of 6 images" in output and "selective search, fast on voc:" in output
    assert f"{100 * curve['recall']['0.7'][-1]:.2f}" in output
    dataset = data.load(f"voc:{voc}@train")
    found = proposals.load(folder)
    assert list(found) == [record.image_id for record in dataset.records]
    expected = selective_search.selective_search(dataset.image(3))
    np.testing.assert_array_equal(found[dataset.records[3].image_id], expected)


def test_what_is_there_is_not_made_again(words, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("keras_frcnn.callbacks.progress.INTERVAL", 0)
    command.main([*words, "--top", "20"])
    before, output = shards(tmp_path / "found"), capsys.readouterr().out
    monkeypatch.setattr(command, "selective_search", lambda *_: pytest.fail("made again"))
    command.main([*words, "--top", "20"])
    assert shards(tmp_path / "found") == before
    again = capsys.readouterr().out
    assert "of 6 images" not in again and output.endswith(again)
    assert max(map(len, proposals.load(tmp_path / "found").values())) == 20


def test_an_image_that_cannot_be_decoded(words, voc, tmp_path, monkeypatch, capsys):
    command.main([*words, "--output", str(tmp_path / "whole")])
    file = voc / "JPEGImages/train3.jpg"
    intact = file.read_bytes()
    file.write_bytes(intact[: len(intact) // 2])
    try:
        assert "train3.jpg cannot be decoded" in refusal(capsys, *words)
    finally:
        file.write_bytes(intact)
    assert len(shards(tmp_path / "found")) == 1
    command.main(words)
    assert shards(tmp_path / "found") == shards(tmp_path / "whole")


def test_a_killed_job_leaves_whole_shards(tmp_path):
    spec = "shapes@val"
    code = "from keras_frcnn.data import proposals; proposals.SHARD_IMAGES = 1\n"
    code += "from keras_frcnn.commands.proposals import main; main()"
    words = [sys.executable, "-c", code, "--data", spec, "--output", str(tmp_path), "--top", "50"]
    job = subprocess.Popen(words, stdout=subprocess.DEVNULL)
    while len(shards(tmp_path)) < 2 and job.poll() is None:
        time.sleep(0.01)
    os.kill(job.pid, signal.SIGKILL)
    assert job.wait() == -signal.SIGKILL
    found = proposals.load(tmp_path)
    dataset = data.load(spec)
    assert list(found) == [str(record.image_id) for record in dataset.records[: len(found)]]
    # Another process finds the same.
    expected = selective_search.selective_search(dataset.image(1), top=50)
    np.testing.assert_array_equal(list(found.values())[1], expected)


def test_proposals_of_a_model(words, tmp_path, make_model, capsys):
    model = make_model()
    model.save(tmp_path / "rpn.keras")
    curve = command.main([*words, "--model", str(tmp_path / "rpn.keras"), "--top", "7"])
    assert curve["proposals_per_image"] <= 7 and "rpn.keras on voc:" in capsys.readouterr().out
    dataset = data.load(words[1])
    expected = model.propose(dataset.image(5), 7)["boxes"]
    np.testing.assert_allclose(proposals.load(tmp_path / "found")["train5"], expected, atol=0.01)
    # Other weights of the same name.
    model.rpn.conv.kernel.assign(2 * model.rpn.conv.kernel)
    model.save(tmp_path / "rpn.keras")
    sentence = refusal(capsys, *words, "--model", tmp_path / "rpn.keras", "--top", "7")
    assert "proposals.json differs from this run in model" in sentence


def test_refuses_a_model_without_rpn(words, tmp_path, capsys):
    with zipfile.ZipFile(EXPORT) as archive:
        archive.extractall(tmp_path)
    assert "1 has no RPN; give" in refusal(capsys, *words, "--model", tmp_path / "1")


def test_refuses_other_settings(words, voc, tmp_path, capsys):
    command.main(words)
    for other, key in ((["--mode", "quality"], "mode"), (["--top", "9"], "top")):
        assert f"proposals.json differs from this run in {key};" in refusal(capsys, *words, *other)
    other = refusal(capsys, "--data", f"voc:{voc}@val", *words[2:])
    assert "differs from this run in data, images; name another folder" in other
    (tmp_path / "found/proposals.json").write_text("[")
    assert "proposals.json does not tell" in refusal(capsys, *words)
    (tmp_path / "found/proposals.json").unlink()
    assert "but no proposals.json" in refusal(capsys, *words)


def test_refuses_numbers_out_of_range_and_images_twice(words, capsys, tmp_path):
    assert refusal(capsys, *words, "--top", 0) == "--top is 0; give at least 1."
    assert refusal(capsys, *words, "--workers", 0) == "--workers is 0; give at least 1."
    root, _, split = words[1].removeprefix("voc:").rpartition("@")
    shutil.copytree(root, tmp_path / "copy")
    again = refusal(capsys, *words, "--data", f"voc:{tmp_path}/copy@{split}")
    assert "two images called train0" in again
