import numpy as np
import pytest

import keras_frcnn as kf
from keras_frcnn.checking import box_scale
from keras_frcnn.data.records import BoxCheck, Mended
from keras_frcnn.doctor.box_format import check_box_format
from keras_frcnn.doctor.findings import DECISIVE


def test_corners_are_corners(case):
    assert not check_box_format(case()).findings


def sizes_for_corners(record):
    """Keep the objects whose size is larger than their first corner, and give the size as second corner."""
    sides = record.boxes[:, 2:] - record.boxes[:, :2]
    keep = (sides > record.boxes[:, :2]).all(axis=1)
    boxes = np.concatenate([record.boxes[:, :2], sides], axis=1)
    return {name: getattr(record, name)[keep] for name in ("labels", "ignore", "area")} | {
        "boxes": boxes[keep]
    }


def test_sizes_for_corners_without_an_inverted_box(case, changed, monkeypatch):
    monkeypatch.setattr(box_scale, "FEWEST", 5)
    train = changed(case().train, sizes_for_corners)
    assert sum(len(record.boxes) for record in train.records) >= 5
    (finding,) = check_box_format(case(train=train)).findings
    assert "x, y, width, height given as corners" in finding.sentence and "100%" in finding.figure


@pytest.mark.parametrize("scale", [100, 10])
def test_percent_and_other_small_scales(case, changed, scale):
    def change(record):
        sides = np.array([record.width, record.height] * 2, np.float32)
        return {"boxes": record.boxes / sides * scale}

    (finding,) = check_box_format(case(train=changed(case().train, change))).findings
    assert "upper left part" in finding.sentence


def test_many_boxes_had_to_be_dropped(case):
    mended = Mended("said", "mine", "box", "without area inside the image dropped", 200)
    (finding,) = check_box_format(case(mended=[mended])).findings
    assert "mine" in finding.sentence
    few = Mended("said", "mine", "box", "without area inside the image dropped", 2)
    assert not check_box_format(case(mended=[few])).findings


def test_many_boxes_had_to_be_clipped(case):
    mended = Mended("said", "mine", "box", "reaching outside the image clipped", 200)
    (finding,) = check_box_format(case(mended=[mended])).findings
    assert "x and y exchanged" in finding.sentence and finding.likelihood < DECISIVE
    few = Mended("said", "mine", "box", "reaching outside the image clipped", 20)
    assert not check_box_format(case(mended=[few])).findings


def test_objects_in_the_middle_of_all_pictures(case):
    rng = np.random.default_rng(0)
    corners = np.array([280, 210]) + rng.uniform(-40, 40, [30, 2])
    check = BoxCheck("middle")
    records = [
        check.record(place, "photo", 480, 640, [[*corner, *(corner + [80, 60])]], [0], [False])
        for place, corner in enumerate(corners)
    ]
    train = kf.data.DetectionDataset("middle", ("cell",), records, case().train.source)
    assert not check_box_format(case(train=train, val=None)).findings
