import json

import cv2
import numpy as np
import pytest

from keras_frcnn.evaluation import proposal_recall


def loop_recall(proposals, records, count, threshold):
    """The definition, object by object."""
    reached = total = 0
    for boxes, record in zip(proposals, records):
        for target, ignore in zip(record.boxes.astype(float), record.ignore):
            if ignore:
                continue
            total += 1
            for box in boxes[:count].astype(float):
                width = min(box[2], target[2]) - max(box[0], target[0])
                height = min(box[3], target[3]) - max(box[1], target[1])
                shared = max(width, 0) * max(height, 0)
                areas = [(b[2] - b[0]) * (b[3] - b[1]) for b in (box, target)]
                if shared / (sum(areas) - shared) >= threshold:
                    reached += 1
                    break
    return reached / total


@pytest.mark.parametrize("seed", range(4))
def test_equals_the_loop(random_set, seed):
    detections, records, _ = random_set(seed)
    proposals = [found["boxes"] for found in detections]
    counts, ious = (1, 2, 5, 40), (0.5, 0.7, 0.9)
    curve = proposal_recall.recall_curve(proposals, records, counts, ious)
    for iou in ious:
        expected = [loop_recall(proposals, records, count, iou) for count in counts]
        assert curve["recall"][str(iou)] == pytest.approx(expected, abs=1e-12)
    every = [
        [loop_recall(proposals, records, count, 0.5 + 0.05 * step) for step in range(10)] for count in counts
    ]
    assert curve["average_recall"] == pytest.approx(np.mean(every, axis=1), abs=1e-12)
    assert 0.1 < curve["recall"]["0.7"][-1] < curve["recall"]["0.5"][-1] < 1
    assert curve["objects"] == sum((~record.ignore).sum() for record in records)
    assert curve["proposals_per_image"] == pytest.approx(sum(map(len, proposals)) / len(proposals))


def test_by_hand(make_record):
    record = make_record([[0, 0, 10, 10], [50, 50, 60, 60], [90, 90, 99, 99]], ignore=[False, False, True])
    proposals = np.array([[0, 0, 9, 1], [0, 0, 10, 5], [50, 50, 60, 60]], np.float32)
    curve = proposal_recall.recall_curve([proposals], [record], (1, 2, 3, 9))
    # Exactly one half is enough.
    assert curve["recall"] == {"0.5": [0, 0.5, 1, 1], "0.7": [0, 0, 0.5, 0.5]}
    assert curve["counts"] == [1, 2, 3, 9] and curve["objects"] == 2 and curve["proposals_per_image"] == 3


def test_without_objects_or_proposals(make_record):
    nothing = np.zeros([0, 4], np.float32)
    curve = proposal_recall.recall_curve([nothing, nothing], [make_record(), make_record([[0, 0, 5, 5]])])
    assert curve["recall"]["0.5"] == [0] * len(proposal_recall.COUNTS)
    for records in ([], [make_record()]):
        curve = proposal_recall.recall_curve([nothing] * len(records), records)
        assert curve["recall"]["0.7"] == [None] * len(proposal_recall.COUNTS)
        assert proposal_recall.report(curve).split()[-1] == "-"


def test_refuses_another_number_of_images(make_record):
    with pytest.raises(ValueError, match="Proposals of 0 images do not fit 1 records"):
        proposal_recall.recall_curve([], [make_record()])


def test_report_and_plot(random_set, tmp_path):
    detections, records, _ = random_set(0)
    curve = proposal_recall.recall_curve([found["boxes"] for found in detections], records)
    assert json.loads(json.dumps(curve, allow_nan=False)) == curve
    lines = proposal_recall.report(curve).splitlines()
    assert lines[0].startswith(f"{curve['objects']} objects in 20 images")
    assert lines[2].split() == ["proposals", "10", "30", "100", "300", "1000", "2000"]
    assert lines[3].split()[3:] == [f"{100 * value:.2f}" for value in curve["recall"]["0.5"]]
    empty = proposal_recall.recall_curve([], [])
    proposal_recall.plot({"one": curve, "none": empty}, tmp_path / "recall.png")
    picture = cv2.imread(str(tmp_path / "recall.png"))
    assert picture.shape == (600, 900, 3) and picture.min() < 100
