"""Several splits in one folder: none replaces anything of another."""

import dataclasses

import cv2
import numpy as np
import pytest

import keras_frcnn as kf
from keras_frcnn.checking import clean_copy
from keras_frcnn.data.splitting import part
from keras_frcnn.data.writers import WRITERS


def split(folder, value, label):
    """A set of one picture with the id 0, whose pixels, box and class tell it from others."""
    folder.mkdir()
    cv2.imwrite(str(folder / "0.png"), np.full([40, 50, 3], value, np.uint8))
    return kf.data.from_arrays([folder / "0.png"], [[[1, 2, value, 30]]], [[label]])


@pytest.mark.parametrize("layout", WRITERS)
def test_two_splits_keep_their_pictures_and_boxes(tmp_path, layout):
    sets = {name: split(tmp_path / name, value, "cat") for name, value in (("train", 20), ("val", 33))}
    specs = [WRITERS[layout](dataset, tmp_path / "out", name) for name, dataset in sets.items()]
    for spec, dataset in zip(specs, sets.values()):
        again = kf.data.load(spec)
        np.testing.assert_array_equal(again.image(0), dataset.image(0))
        np.testing.assert_allclose(again.records[0].boxes, dataset.records[0].boxes, atol=1e-4)


@pytest.mark.parametrize("layout", WRITERS)
def test_a_split_is_not_written_over_itself(tmp_path, layout):
    dataset = split(tmp_path / "train", 20, "cat")
    WRITERS[layout](dataset, tmp_path / "out", "train")
    with pytest.raises(OSError, match="is there already; name another folder, or another split"):
        WRITERS[layout](dataset, tmp_path / "out", "train")


@pytest.mark.parametrize("layout", WRITERS)
def test_splits_of_other_classes(tmp_path, layout):
    """The second one must not change what the numbers of the first one mean."""
    labels = {"train": "dog", "val": "cat", "test": "dog"}
    sets = {name: split(tmp_path / name, 20, label) for name, label in labels.items()}
    specs = [WRITERS[layout](dataset, tmp_path / "out", name) for name, dataset in sets.items()]
    for spec, label in zip(specs, labels.values()):
        again = kf.data.load(spec)
        assert [again.class_names[number] for number in again.records[0].labels] == [label]


@pytest.mark.parametrize("layout", WRITERS)
def test_what_no_reader_would_take_is_not_written(tmp_path, layout):
    dataset = split(tmp_path / "train", 20, "cat")
    for empty, what in ((part(dataset, [], "none"), "picture"), (without_classes(dataset), "class")):
        with pytest.raises(ValueError, match=f"^none has no {what}, so there is nothing to write"):
            WRITERS[layout](empty, tmp_path / "out", "train")
    assert not (tmp_path / "out").exists()


def without_classes(dataset):
    nothing = np.zeros([0], np.int32)
    record = dataclasses.replace(dataset.records[0], boxes=np.zeros([0, 4], np.float32), labels=nothing)
    return kf.data.DetectionDataset("none", (), [record], dataset.source)


def test_clean_copies_of_coco_sets_with_other_categories(checked_coco, tmp_path):
    sets = checked_coco({"cat": 20, "dog": 33})
    clean_copy.write(sets, tmp_path / "copy")
    for name, value in (("cat", 20), ("dog", 33)):
        folder = tmp_path / "copy"
        again = kf.data.load(f"coco:{folder}/{name}.json@{folder}/images/{name}")
        assert again.class_names == ("cat", "dog") and (again.image(0) == value).all()


@pytest.fixture
def checked_coco(tmp_path):
    """Function from classes and their pixels to `Checked` sets in COCO's layout, one for each."""
    from keras_frcnn.checking.check import check
    from keras_frcnn.data.readers.assembly import STRICT
    from keras_frcnn.layers import AnchorGenerator

    def make(classes):
        anchors = AnchorGenerator(sizes=(16, 32), strides=(4, 8))
        specs = [
            WRITERS["coco"](split(tmp_path / name, value, name), tmp_path / f"of_{name}", name)
            for name, value in classes.items()
        ]
        return [check(spec, STRICT, (40, 50), anchors, True, lambda done, total: None) for spec in specs]

    return make
