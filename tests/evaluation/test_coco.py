import contextlib
import io

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from keras_frcnn.evaluation import coco


def by_pycocotools(detections, records, class_names):
    """The reference evaluator on the same set, with ids that have gaps and do not start at 1."""
    annotations, results = [], []
    for record, found in zip(records, detections):
        for box, label, ignore, area in zip(record.boxes, record.labels, record.ignore, record.area):
            x1, y1, x2, y2 = (float(number) for number in box)
            annotations.append(
                {
                    "id": 1000 + len(annotations),
                    "image_id": record.image_id,
                    "category_id": 5 + 3 * int(label),
                    "bbox": [x1, y1, x2 - x1, y2 - y1],
                    "area": float(area),
                    "iscrowd": int(ignore),
                }
            )
        for box, label, score in zip(found["boxes"], found["labels"], found["scores"]):
            x1, y1, x2, y2 = (float(number) for number in box)
            results.append(
                {
                    "image_id": record.image_id,
                    "category_id": 5 + 3 * int(label),
                    "bbox": [x1, y1, x2 - x1, y2 - y1],
                    "score": float(score),
                }
            )
    truth = COCO()
    truth.dataset = {
        "info": {},
        "images": [
            {"id": record.image_id, "height": record.height, "width": record.width} for record in records
        ],
        "annotations": annotations,
        "categories": [{"id": 5 + 3 * label, "name": name} for label, name in enumerate(class_names)],
    }
    with contextlib.redirect_stdout(io.StringIO()):
        truth.createIndex()
        evaluator = COCOeval(truth, truth.loadRes(results), "bbox")
        evaluator.evaluate()
        evaluator.accumulate()
        evaluator.summarize()
    return evaluator


@pytest.mark.parametrize("seed", range(5))
def test_equals_pycocotools(random_set, seed):
    detections, records, class_names = random_set(seed, images=40)
    assert any(record.ignore.any() for record in records)
    result = coco.evaluate(detections, records, class_names)
    evaluator = by_pycocotools(detections, records, class_names)
    np.testing.assert_allclose([result[name] for name in coco.NAMES], evaluator.stats, rtol=0, atol=1e-12)
    precision = evaluator.eval["precision"][:, :, :, 0, -1]
    for label, name in enumerate(class_names[:-1]):
        assert result["per_class"][name]["ap"] == pytest.approx(precision[:, :, label].mean(), abs=1e-12)
        assert result["per_class"][name]["ap75"] == pytest.approx(precision[5, :, label].mean(), abs=1e-12)
    assert np.isnan(result["per_class"][class_names[-1]]["ap"])


@pytest.mark.parametrize("seed", range(3))
def test_equals_pycocotools_where_scores_and_overlaps_are_equal(seed, make_record, make_found):
    """On a coarse grid many overlaps are the same, and a class has more than a hundred detections."""
    random = np.random.default_rng(seed)

    def boxes(count):
        corner = random.integers(0, 4, [count, 2]) * 8
        return np.concatenate([corner, corner + random.integers(1, 4, [count, 2]) * 16], axis=1)

    records, detections = [], []
    for number in range(12):
        objects, found = random.integers(0, 15), random.integers(150, 300)
        ignore = random.random(objects) < 0.3
        records.append(
            make_record(boxes(objects), random.integers(0, 2, objects), ignore, image_id=number + 1)
        )
        scores = random.integers(1, 9, found) / 8
        detections.append(make_found(boxes(found), scores, random.integers(0, 2, found)))
    assert max((found["labels"] == 0).sum() for found in detections) > 100
    result = coco.evaluate(detections, records, ("a", "b"))
    expected = by_pycocotools(detections, records, ("a", "b")).stats
    expected = np.where(expected < 0, np.nan, expected)
    np.testing.assert_allclose([result[name] for name in coco.NAMES], expected, rtol=0, atol=1e-12)


def test_perfect_detections_score_exactly_one(perfect_set):
    result = coco.evaluate(*perfect_set)
    assert [result[name] for name in ("ap", "ap50", "ap75", "ar100")] == [1.0] * 4
    assert result["ap_small"] == result["ap_medium"] == result["ap_large"] == 1.0
    assert result["per_class"]["circle"] == {"ap": 1.0, "ap50": 1.0, "ap75": 1.0}
    assert np.isnan(result["per_class"]["star"]["ap50"])


def test_a_crowd_takes_any_number_of_detections(make_record, make_found):
    record = make_record([[0, 0, 200, 100], [220, 0, 240, 20]], ignore=[True, False])
    found = make_found([[10, 10, 20, 20], [30, 10, 60, 90], [220, 0, 240, 20]], [0.9, 0.8, 0.7])
    assert coco.evaluate([found], [record], ["a"])["ap"] == 1.0


def test_the_size_is_that_of_the_annotated_area(make_record, make_found):
    record = make_record([[0, 0, 40, 40]], area=[500])
    result = coco.evaluate([make_found([[0, 0, 40, 40]], [0.5])], [record], ["a"])
    assert result["ap_small"] == 1.0 and np.isnan(result["ap_medium"])


def test_nothing_found_and_nothing_there(make_record, make_found):
    nothing = coco.evaluate([make_found()], [make_record([[0, 0, 10, 10]])], ["a", "b"])
    assert nothing["ap"] == nothing["ar100"] == nothing["per_class"]["a"]["ap"] == 0.0
    no_objects = coco.evaluate([make_found([[0, 0, 10, 10]], [0.5])], [make_record()], ["a", "b"])
    assert all(np.isnan(no_objects[name]) for name in coco.NAMES)
    assert np.isnan(no_objects["per_class"]["a"]["ap"])


def test_prints_nothing(random_set, capsys):
    coco.evaluate(*random_set(0))
    assert capsys.readouterr() == ("", "")


def test_detections_must_match_the_records(make_record):
    with pytest.raises(ValueError, match="give one dict each"):
        coco.evaluate([], [make_record()], ["a"])
