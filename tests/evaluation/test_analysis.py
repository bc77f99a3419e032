"""The analyses of a whole set, one after the other, on cases small enough to count by hand."""

import json

import numpy as np
import pytest

from keras_frcnn.evaluation import coco, matches, per_image
from keras_frcnn.evaluation.analysis import analyze
from keras_frcnn.evaluation.calibration import calibration
from keras_frcnn.evaluation.comparison import compare
from keras_frcnn.evaluation.confusion import confusion_matrix
from keras_frcnn.evaluation.groups import average_precision_by_group
from keras_frcnn.evaluation.score_curves import operating_threshold, precision_at_recall, score_curves

BOX, OTHER, FAR = (20, 20, 60, 60), (100, 20, 140, 60), (150, 120, 190, 160)


def test_matches_tell_who_found_what(make_record, make_found):
    records = [make_record([BOX, OTHER], [0, 1]), make_record([BOX], [0])]
    detections = [make_found([OTHER, FAR], [0.3, 0.9], [1, 0]), make_found([BOX], [0.5], [0])]
    matched = matches.match(detections, records, ("cat", "dog"))
    assert matched.labels.tolist() == [0, 0, 1]
    np.testing.assert_allclose(matched.scores, [0.9, 0.5, 0.3], atol=1e-6)
    assert matched.hits.tolist() == [False, True, True] and matched.wrong.tolist() == [True, False, False]
    # Objects are sorted by class and image: both cats, then the dog.
    assert matched.finders.tolist() == [-1, 1, 2]
    assert matched.above(0.4).finders.tolist() == [-1, 1, -1]
    assert matched.objects_per_class().tolist() == [2, 1]


def test_pairs_do_not_depend_on_the_size_of_blocks(random_set, monkeypatch):
    detections, records, names = random_set(0)
    matched = matches.match(detections, records, names)
    arguments = matched.images, matched.boxes, matched.truth["images"], matched.truth["boxes"], 0.1
    whole = matches.overlapping(*arguments)
    monkeypatch.setattr(matches, "BLOCK", 1)
    for part, again in zip(whole, matches.overlapping(*arguments)):
        np.testing.assert_array_equal(part, again)
    assert len(whole[0]) > 50 and whole[2].min() >= 0.1


def test_the_best_threshold_and_its_numbers(make_record, make_found):
    found = make_found([BOX, FAR, OTHER, FAR], [0.9, 0.8, 0.7, 0.1], [0, 0, 0, 0])
    matched = matches.match([found], [make_record([BOX, OTHER], [0, 0])], ("cat", "dog"))
    curves = score_curves(matched)
    # From 0.7 on: two right of three, both objects found.
    best = curves["all"]["best"]
    assert best == pytest.approx({"threshold": 0.7, "precision": 2 / 3, "recall": 1.0, "f1": 0.8}, abs=1e-6)
    assert operating_threshold(curves) == best["threshold"]
    assert curves["all"]["precision"][0] == 0.5 and curves["all"]["precision"][100] is None
    assert curves["all"]["recall"][85] == 0.5
    assert curves["per_class"]["dog"]["best"] is None and curves["per_class"]["dog"]["recall"][0] is None


def test_detections_of_one_score_come_together(make_record, make_found):
    found = make_found([BOX, FAR], [0.5, 0.5], [0, 0])
    matched = matches.match([found], [make_record([BOX], [0])], ("cat",))
    assert score_curves(matched)["all"]["best"]["precision"] == 0.5


def test_the_mean_of_a_curve_is_the_average_precision(random_set):
    detections, records, names = random_set(5)
    curves = precision_at_recall(matches.match(detections, records, names))
    expected = coco.evaluate(detections, records, names)["per_class"]
    for name in names[:-1]:
        assert np.mean(curves[name]) == pytest.approx(expected[name]["ap50"], abs=1e-12)
    assert curves[names[-1]] is None


def test_confusion(make_record, make_found):
    record = make_record([BOX, OTHER, FAR], [0, 1, 1])
    # A cat found, a dog taken for a cat, a dog missed, a stray, and a detection below the threshold.
    found = make_found([BOX, OTHER, (0, 100, 30, 130), FAR], [0.9, 0.8, 0.7, 0.2], [0, 0, 1, 1])
    matched = matches.match([found], [record], ("cat", "dog"))
    assert confusion_matrix(matched, 0.5).tolist() == [[1, 0, 0], [1, 0, 1], [0, 1, 0]]
    assert confusion_matrix(matched, 0.0)[1].tolist() == [1, 1, 0]


def test_confusion_counts_every_object_and_detection_once(random_set):
    detections, records, names = random_set(6)
    matched = matches.match(detections, records, names)
    matrix, sure = confusion_matrix(matched, 0.3), matched.above(0.3)
    assert matrix[:-1].sum(1).tolist() == matched.objects_per_class().tolist()
    assert matrix[:, :-1].sum() == (sure.hits | sure.wrong).sum()
    assert np.trace(matrix) == sure.hits.sum()


def test_groups(make_record, make_found):
    # The image is 300 wide and 200 high: a square, a wide box at the border, a tall one across the square.
    objects = [(20, 20, 60, 60), (200, 0, 300, 20), (50, 50, 60, 180)]
    found = make_found([objects[0], objects[1], (250, 150, 262, 162)], [0.9, 0.8, 0.95], [0, 0, 0])
    groups = average_precision_by_group(matches.match([found], [make_record(objects)], ("cat",)))
    numbers = {name: {row["group"]: row for row in rows} for name, rows in groups.items()}
    assert [row["objects"] for row in groups["size"]] == [0, 0, 3, 0, 0]
    # The stray is small: it counts where no object is, and so nowhere.
    assert numbers["size"]["32 to 96 px"]["ap50"] == pytest.approx(67 / 101)
    assert numbers["aspect_ratio"]["3:1 or more"]["ap50"] == 1.0
    assert numbers["aspect_ratio"]["below 1:3"]["ap50"] == 0.0
    assert numbers["aspect_ratio"]["2:3 to 3:2"]["ap50"] == 0.5
    assert numbers["overlapping"]["none"]["objects"] == 1 and numbers["overlapping"]["1"]["objects"] == 2
    assert numbers["company"]["1 to 4"]["objects"] == 3
    assert numbers["truncation"]["touching the border"] == {
        "group": "touching the border",
        "objects": 1,
        "ap50": 1.0,
    }


def test_calibration(make_record, make_found):
    found = make_found([BOX, FAR, OTHER, FAR], [0.95, 0.95, 0.95, 0.25], [0, 0, 0, 0])
    result = calibration(matches.match([found], [make_record([BOX, OTHER])], ("cat",)))
    assert result["bins"][9] == pytest.approx(
        {"from": 0.9, "to": 1.0, "detections": 3, "mean_score": 0.95, "precision": 2 / 3}
    )
    assert result["bins"][0]["precision"] is None
    error = (3 * (0.95 - 2 / 3) + 0.25) / 4
    assert result["expected_calibration_error"] == pytest.approx(error)


def test_everything_is_json_also_where_nothing_is(random_set, make_record, make_found):
    detections, records, names = random_set(0)
    sets = [
        (detections, records),
        ([make_found()] * len(records), records),
        ([make_found()], [make_record()]),
    ]
    for found, truth in sets:
        json.dumps(analyze(matches.match(found, truth, names)), allow_nan=False)


def test_a_better_model_is_better_for_sure(random_set, make_found):
    detections, records, names = random_set(0, images=40)
    perfect = [make_found(one.boxes, np.linspace(0.9, 0.8, len(one.labels)), one.labels) for one in records]
    mine, other = (matches.match(found, records, names) for found in (perfect, detections))
    compared = compare(mine, other, (0.5, 0.5), records)
    row = compared["numbers"]["coco_ap50"]
    assert row["this"] == 1.0 and 0 < row["interval"][0] <= row["difference"] <= row["interval"][1]
    changes = [abs(one["difference"]) for one in compared["images"]]
    assert changes == sorted(changes, reverse=True) and changes[-1] > 0
    worst = compared["images"][0]
    assert worst["this"] == 0 and str(records[worst["number"]].image_id) == worst["image"]


def test_detections_survive_json(random_set):
    detections, records, names = random_set(4)
    results = {
        "per_class": dict.fromkeys(names[::-1]),
        "per_image": per_image.as_json(
            [{**one, "labels": len(names) - 1 - one["labels"]} for one in detections], records
        ),
    }
    again = per_image.from_json(json.loads(json.dumps(results)), records[::-1], names)
    for one, two in zip(detections, again[::-1]):
        for key in one:
            np.testing.assert_array_equal(one[key], two[key])
            assert two[key].dtype in (np.float32, np.int64)


def test_other_detections_are_refused(random_set):
    _, records, names = random_set(4)
    with pytest.raises(ValueError, match="no results of single images"):
        per_image.from_json({"per_class": dict.fromkeys(names)}, records, names)
