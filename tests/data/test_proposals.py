import re

import numpy as np
import pytest

from keras_frcnn.data import DetectionDataset, proposals
from keras_frcnn.data.records import BoxCheck
from keras_frcnn.data.sources import Drawn

BOXES = [np.array([[0, 0, 5, 6], [1, 2, 3, 4.5]]), np.zeros([0, 4]), np.array([[7, 7, 9, 9]])]
IDS = ["2007_000027", "ünder", "3"]


@pytest.fixture
def folder(tmp_path):
    proposals.save_shard(tmp_path / "a.npz", IDS, BOXES)
    return tmp_path


@pytest.fixture
def dataset():
    """Seven images of 3x3; all pixels of number i are i."""
    check = BoxCheck("seven")
    records = [check.record(index, str(index), 3, 3, [], [], []) for index in range(7)]
    source = Drawn(lambda index: np.full([3, 3, 3], index, np.uint8), 7)
    return DetectionDataset("seven", ["a"], records, source)


def boxes_of(image):
    """As many boxes as the image's number says."""
    return np.full([image[0, 0, 0], 4], image[0, 0, 0] + 0.5)


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_saved_and_loaded(folder):
    found = proposals.load(folder)
    assert list(found) == IDS
    for name, expected in zip(IDS, BOXES):
        assert found[name].dtype == np.float32 and found[name].shape == expected.shape
        np.testing.assert_array_equal(found[name], expected)
    assert [path.name for path in folder.iterdir()] == ["a.npz"]


def test_the_layout_is_the_documented_one(folder):
    with np.load(folder / "a.npz") as arrays:
        assert set(arrays) == {"image_ids", "splits", "boxes"}
        assert arrays["image_ids"].dtype.kind == "U"
        assert arrays["splits"].dtype == np.int64 and arrays["splits"].tolist() == [0, 2, 2, 3]
        assert arrays["boxes"].dtype == np.float32 and arrays["boxes"].shape == (3, 4)


def test_equal_contents_give_equal_bytes(folder, monkeypatch):
    monkeypatch.setattr("time.time", lambda: 2e9)
    proposals.save_shard(folder / "b.npz", IDS, [boxes.astype(np.float32) for boxes in BOXES])
    assert (folder / "a.npz").read_bytes() == (folder / "b.npz").read_bytes()


def test_shards_of_others(tmp_path):
    np.savez_compressed(
        tmp_path / "theirs.npz",
        image_ids=np.array([71, 3]),
        splits=np.array([0, 1, 2], np.uint32),
        boxes=np.array([[0, 0, 4, 4], [1, 1, 3, 3]]),
        scores=np.array([0.5, 0.25]),
    )
    found = proposals.load(tmp_path)
    assert list(found) == ["71", "3"] and found["3"].dtype == np.float32


def test_a_stopped_save_leaves_the_old_file(folder, monkeypatch):
    before = (folder / "a.npz").read_bytes()

    def stop(file, **arrays):
        file.write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(np, "savez", stop)
    with pytest.raises(KeyboardInterrupt):
        proposals.save_shard(folder / "a.npz", ["x"], [np.zeros([1, 4])])
    assert (folder / "a.npz").read_bytes() == before
    assert list(proposals.load(folder)) == IDS


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"boxes": None}, "boxes is not a file in the archive"),
        ({"image_ids": np.array(["a", None], object)}, "allow_pickle"),
        ({"image_ids": np.array([[1, 2]])}, r"image_ids must be text \[n\]"),
        ({"image_ids": np.array(["a", "a"])}, "image_ids has an image twice"),
        ({"splits": np.array([0, 3])}, r"splits must be integers \[n \+ 1\]"),
        ({"splits": np.array([0.0, 1, 3])}, r"splits must be integers \[n \+ 1\]"),
        ({"splits": np.array([0, 1, 2])}, "splits must rise from 0 to the number of boxes"),
        ({"splits": np.array([0, 4, 3])}, "splits must rise from 0 to the number of boxes"),
        ({"boxes": np.zeros([3, 5])}, r"boxes must be numbers \[P, 4\]"),
        ({"boxes": np.full([3, 4], "x")}, r"boxes must be numbers \[P, 4\]"),
        ({"boxes": np.full([3, 4], np.nan)}, "boxes must be finite"),
    ],
)
def test_bad_arrays(tmp_path, change, fault):
    arrays = {"image_ids": np.array(["a", "b"]), "splits": np.array([0, 1, 3]), "boxes": np.zeros([3, 4])}
    arrays = {name: array for name, array in {**arrays, **change}.items() if array is not None}
    np.savez(tmp_path / "bad.npz", **arrays)
    with pytest.raises(ValueError, match=rf"bad\.npz is no shard of proposals \(.*{fault}.*\); repair"):
        proposals.load(tmp_path)


@pytest.mark.parametrize("content", [b"", b"not a zip", "half", "array"])
def test_bad_files(folder, content):
    file = folder / "a.npz"
    if content == "half":
        content = file.read_bytes()[:-100]
    elif content == "array":
        np.save(folder / "array.npy", BOXES[0])
        content = (folder / "array.npy").read_bytes()
    file.write_bytes(content)
    with pytest.raises(ValueError, match=r"a\.npz is no shard of proposals \(.*\); repair or remove it\.$"):
        proposals.load(folder)


def test_bytes_that_changed_are_noticed(folder):
    file = folder / "a.npz"
    content = bytearray(file.read_bytes())
    content[content.find(BOXES[0].astype(np.float32).tobytes()) + 7] ^= 1
    file.write_bytes(content)
    with pytest.raises(ValueError, match=r"a\.npz is no shard of proposals \(.*CRC"):
        proposals.load(folder)


def test_an_image_in_two_shards(folder):
    proposals.save_shard(folder / "b.npz", ["3"], [np.zeros([0, 4])])
    with pytest.raises(ValueError, match=r"b\.npz has the image 3, and so has .*a\.npz; remove one"):
        proposals.load(folder)


def test_nothing_there(tmp_path):
    for folder in (tmp_path, tmp_path / "absent"):
        with pytest.raises(FileNotFoundError, match=f"no proposals in {re.escape(str(folder))}; write them"):
            proposals.load(folder)


def test_save_refuses_what_is_no_shard(tmp_path):
    for ids, boxes in ((["a", "a"], [np.zeros([1, 4])] * 2), (["a"], []), (["a"], [np.full([1, 4], np.inf)])):
        with pytest.raises(ValueError, match=r"new\.npz is no shard"):
            proposals.save_shard(tmp_path / "new.npz", ids, boxes)
    assert not list(tmp_path.iterdir())


def test_written_for_a_set(dataset, tmp_path, monkeypatch):
    monkeypatch.setattr(proposals, "SHARD_IMAGES", 3)
    heard = []
    proposals.write(tmp_path / "new", dataset, boxes_of, 2, lambda *counts: heard.append(counts))
    assert sorted(contents(tmp_path / "new")) == [f"proposals-0000{i}-of-00003.npz" for i in range(3)]
    assert heard == [(done, 7) for done in range(1, 8)]
    found = proposals.load(tmp_path / "new")
    assert list(found) == list("0123456")
    for name, boxes in found.items():
        np.testing.assert_array_equal(boxes, np.full([int(name), 4], int(name) + 0.5))


@pytest.mark.parametrize("workers", [1, 4])
def test_a_stopped_job_goes_on_and_gives_the_same_bytes(dataset, tmp_path, monkeypatch, workers):
    monkeypatch.setattr(proposals, "SHARD_IMAGES", 3)
    proposals.write(tmp_path / "whole", dataset, boxes_of)

    def stumble(image):
        if image[0, 0, 0] == 4:
            raise ValueError("number 4 cannot be decoded")
        return boxes_of(image)

    with pytest.raises(ValueError, match="number 4"):
        proposals.write(tmp_path / "parts", dataset, stumble, workers)
    assert list(contents(tmp_path / "parts")) == ["proposals-00000-of-00003.npz"]

    asked = []

    def note(image):
        asked.append(image[0, 0, 0])
        return boxes_of(image)

    proposals.write(tmp_path / "parts", dataset, note, workers)
    assert sorted(asked) == [3, 4, 5, 6]
    assert contents(tmp_path / "parts") == contents(tmp_path / "whole")


def test_no_image_is_begun_after_an_error(dataset, tmp_path):
    asked = []

    def fail(image):
        asked.append(image[0, 0, 0])
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        proposals.write(tmp_path, dataset, fail)
    assert len(asked) < 7


def test_write_refuses(dataset, tmp_path):
    empty = DetectionDataset("empty", ["a"], [], dataset.source)
    with pytest.raises(ValueError, match="empty has no images"):
        proposals.write(tmp_path, empty, boxes_of)
    twice = DetectionDataset("twice", ["a"], dataset.records[:2] * 2, dataset.source)
    with pytest.raises(ValueError, match="twice has two images called 0; "):
        proposals.write(tmp_path, twice, boxes_of)
    proposals.save_shard(tmp_path / "proposals-00000-of-00001.npz", "abcdefg", [np.zeros([0, 4])] * 7)
    with pytest.raises(ValueError, match=r"proposals-00000-of-00001\.npz has other images than seven"):
        proposals.write(tmp_path, dataset, boxes_of)
