import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_frcnn.evaluation import voc


def loop_iou(a, b):
    a, b = [float(number) for number in a], [float(number) for number in b]
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    return width * height / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - width * height)


def loop_average_precision(precision, recall, metric):
    """The definitions, threshold by threshold."""

    def best_from(level):
        return max((p for p, r in zip(precision, recall) if r >= level), default=0.0)

    if metric == "11point":
        return sum(best_from(step / 10) for step in range(11)) / 11
    total, last = 0.0, 0.0
    for level in sorted(set(recall)):
        total += (level - last) * best_from(level)
        last = level
    return total


def loop_evaluate(detections, records, label, metric):
    """The development kit's procedure, one detection after the other."""
    everything = [
        (float(score), number, box)
        for number, found in enumerate(detections)
        for box, score, mine in zip(found["boxes"], found["scores"], found["labels"])
        if mine == label
    ]
    everything.sort(key=lambda item: -item[0])
    total = sum(int(((record.labels == label) & ~record.ignore).sum()) for record in records)
    claimed, right, wrong, precision, recall = set(), 0, 0, [], []
    for _, number, box in everything:
        record, best, which = records[number], 0.0, None
        for index, other in enumerate(record.boxes):
            if record.labels[index] == label and loop_iou(box, other) > best:
                best, which = loop_iou(box, other), index
        if best > 0.5 and record.ignore[which]:
            continue
        if best > 0.5 and (number, which) not in claimed:
            claimed.add((number, which))
            right += 1
        else:
            wrong += 1
        precision.append(right / (right + wrong))
        recall.append(right / total if total else np.nan)
    return loop_average_precision(precision, recall, metric) if total else np.nan


@pytest.mark.parametrize("metric", voc.METRICS)
def test_perfect_detections_score_exactly_one(perfect_set, metric):
    result = voc.evaluate(*perfect_set, metric=metric)
    assert result["mean_ap"] == 1.0
    assert result["per_class"]["circle"] == result["per_class"]["square"] == 1.0
    assert np.isnan(result["per_class"]["star"])
    assert result["ground_truths"] == {"circle": 2, "square": 3, "star": 0}


@pytest.mark.parametrize("metric", voc.METRICS)
@pytest.mark.parametrize("seed", range(5))
def test_equals_the_loop(random_set, seed, metric):
    detections, records, class_names = random_set(seed)
    result = voc.evaluate(detections, records, class_names, metric=metric)
    expected = [loop_evaluate(detections, records, label, metric) for label in range(len(class_names))]
    np.testing.assert_allclose(list(result["per_class"].values()), expected, rtol=1e-12)
    assert np.isnan(expected[-1]) and 0.2 < result["mean_ap"] < 0.9
    assert result["mean_ap"] == pytest.approx(np.nanmean(expected))


@given(
    hits=st.lists(st.booleans(), max_size=30), missed=st.integers(0, 5), metric=st.sampled_from(voc.METRICS)
)
def test_average_precision_equals_the_definition(hits, missed, metric):
    objects = sum(hits) + missed or 1
    precision, recall = voc.precision_recall(np.array(hits, bool), objects)
    expected = loop_average_precision(precision, recall, metric)
    assert voc.average_precision(precision, recall, metric) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("metric", voc.METRICS)
def test_complete_curves_score_exactly_one(metric):
    for count in range(1, 501):
        # Wrong detections after the last object take nothing away.
        hits = np.arange(count + 7) < count
        for end in (count, count + 7):
            curve = voc.precision_recall(hits[:end], count)
            assert voc.average_precision(*curve, metric) == 1.0, (count, end)


def test_average_precision_by_hand():
    # right, wrong, right of two objects: best precision 1 up to recall 0.5, then 2/3.
    precision, recall = voc.precision_recall(np.array([True, False, True]), 2)
    np.testing.assert_allclose(precision, [1, 1 / 2, 2 / 3])
    np.testing.assert_allclose(recall, [0.5, 0.5, 1])
    assert voc.average_precision(precision, recall) == pytest.approx(0.5 * 1 + 0.5 * 2 / 3)
    assert voc.average_precision(precision, recall, "11point") == pytest.approx((6 * 1 + 5 * 2 / 3) / 11)


@pytest.mark.parametrize("found", range(11))
def test_eleven_points_include_a_recall_that_is_reached_exactly(found):
    precision, recall = voc.precision_recall(np.ones(found, bool), 10)
    assert voc.average_precision(precision, recall, "11point") == pytest.approx(
        (found + 1) / 11 if found else 0
    )


def test_an_iou_of_one_half_is_no_match(make_record, make_found):
    record = make_record([[0, 0, 10, 10]])
    assert voc.evaluate([make_found([[0, 0, 10, 5]], [0.9])], [record], ["a"])["mean_ap"] == 0.0
    assert voc.evaluate([make_found([[0, 0, 10, 5.01]], [0.9])], [record], ["a"])["mean_ap"] == 1.0


def test_a_second_detection_of_an_object_is_wrong(make_record, make_found):
    record = make_record([[0, 0, 10, 10], [50, 50, 60, 60]])
    found = make_found([[0, 0, 10, 10], [0, 0, 10, 9], [50, 50, 60, 60]], [0.9, 0.8, 0.7])
    assert voc.evaluate([found], [record], ["a"])["mean_ap"] == pytest.approx(0.5 + 0.5 * 2 / 3)


def test_a_detection_claims_only_the_object_it_overlaps_most(make_record, make_found):
    # Both overlap the first object most; the second one would do for the later detection, but is not asked.
    record = make_record([[0, 0, 10, 10], [0, 0, 10, 14]])
    found = make_found([[0, 0, 10, 10], [0, 0, 10, 11]], [0.9, 0.8])
    assert voc.evaluate([found], [record], ["a"])["mean_ap"] == pytest.approx(0.5)


def test_difficult_objects_count_neither_way(make_record, make_found):
    record = make_record([[0, 0, 10, 10], [50, 50, 60, 60]], ignore=[True, False])
    found = make_found([[0, 0, 10, 10], [0, 0, 10, 9], [50, 50, 60, 60]], [0.9, 0.8, 0.7])
    assert voc.evaluate([found], [record], ["a"])["mean_ap"] == 1.0
    assert voc.evaluate([make_found()], [record], ["a"])["mean_ap"] == 0.0
    assert voc.evaluate([found], [record], ["a"])["ground_truths"] == {"a": 1}


def test_the_mean_leaves_out_classes_without_objects(make_record, make_found):
    record = make_record([[0, 0, 10, 10], [50, 50, 60, 60]], [0, 2], ignore=[False, True])
    found = make_found([[0, 0, 10, 10], [100, 100, 120, 120]], [0.5, 0.9], [0, 1])
    result = voc.evaluate([found], [record], ["a", "b", "c"])
    assert result["mean_ap"] == 1.0
    assert np.isnan(result["per_class"]["b"]) and np.isnan(result["per_class"]["c"])


def test_objects_of_another_class_or_image_are_not_claimed(make_record, make_found):
    records = [make_record([[0, 0, 10, 10]]), make_record([[50, 50, 60, 60]], [1])]
    found = [make_found([[0, 0, 10, 10]], [0.9], [1]), make_found([[0, 0, 10, 10]], [0.9])]
    assert voc.evaluate(found, records, ["a", "b"])["mean_ap"] == 0.0


def test_nothing_found_and_nothing_there(make_record, make_found):
    assert voc.evaluate([make_found()], [make_record([[0, 0, 1, 1]])], ["a"])["mean_ap"] == 0.0
    assert np.isnan(voc.evaluate([make_found([[0, 0, 1, 1]], [1])], [make_record()], ["a"])["mean_ap"])
    assert np.isnan(voc.evaluate([], [], ["a"])["mean_ap"])


def test_iou_of_small_apart_and_empty_boxes():
    boxes = np.array([[0, 0, 0.5, 0.5], [0, 0, 0.5, 1], [0.75, 0, 1, 1], [3, 3, 3, 3]])
    expected = [[1, 0.5, 0, 0], [0.5, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 0]]
    np.testing.assert_array_equal(voc.pairwise_iou(boxes, boxes), expected)


def test_bad_input_is_refused(make_record):
    with pytest.raises(ValueError, match="Detections of 1 images do not fit 2 records"):
        voc.evaluate([{}], [make_record(), make_record()], ["a"])
    with pytest.raises(ValueError, match="choose one of area, 11point"):
        voc.average_precision([1], [1], "12point")
