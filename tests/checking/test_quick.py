"""The lines that `train.py` prints about its sets."""

import numpy as np

import keras_frcnn as kf
from keras_frcnn.checking.quick import quick_report


def model(names):
    return kf.FasterRCNN(names, "tiny_fpn", image_size=(256, 320))


def test_nothing_is_said_about_shapes():
    train, val = kf.data.load("shapes@val"), kf.data.load("shapes@train")
    assert quick_report(train, val, model(train.class_names)) == []


def test_at_most_ten_lines_each_with_a_remedy():
    image, names = np.zeros([256, 320, 3], np.uint8), ["racoon", "raccoon", "common"]
    boxes = [[[5, 5, 9, 9]] * 3, [[5, 5, 9 + index, 9] for index in range(80)]]
    train = kf.data.from_arrays([image] * 2, boxes, [[*names[:2], names[1]], ["common"] * 80], names)
    lines = quick_report(train, train, model(names))
    text = "\n".join(lines)
    for words in ("(racoon, like raccoon)", "annotated twice", "less than 8 pixels", "fewer than 10 objects"):
        assert words in text
    assert len(lines) <= 10 and "check-data" in lines[-1]


def test_pictures_of_both_sets_are_found_by_their_contents(clean, tmp_path):
    train = kf.data.load(clean("voc", tmp_path / "one"))
    val = kf.data.load(clean("voc", tmp_path / "two"))
    assert "12 pictures of the validation set also in the training set" in "\n".join(
        quick_report(train, val, model(train.class_names))
    )


def test_a_validation_set_without_objects_and_a_reader_of_ones_own(clean, tmp_path):
    train = kf.data.load(clean("voc", tmp_path / "one"))
    image = np.zeros([256, 320, 3], np.uint8)
    val = kf.data.from_arrays([image], [[]], [[]], train.class_names)
    lines = quick_report(train, val, model(train.class_names))
    assert "No object of the validation set counts" in "\n".join(lines)
    for record in train.records:
        object.__setattr__(record, "file", f"picture {record.image_id}")
    assert "12 pictures of the validation set" in "\n".join(
        quick_report(train, train, model(train.class_names))
    )
