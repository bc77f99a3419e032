"""Suppression against torchvision's vectors and a greedy loop."""

import numpy as np
import pytest
import tensorflow as tf

from keras_frcnn.ops import kernels
from keras_frcnn.ops.nms import grouped_nms, postprocess


@pytest.fixture(autouse=True, params=["stock", "xla"])
def kernels_in_use(request):
    with kernels.use(request.param):
        yield


@pytest.fixture(scope="module")
def golden(shared):
    return np.load(shared / "parity/ops.golden.npz")


def greedy_by_hand(boxes, scores, iou_threshold):
    """Indices that remain, best first."""
    kept = []
    for index in np.argsort(-scores, kind="stable"):
        if all(iou_by_hand(boxes[index], boxes[other]) <= iou_threshold for other in kept):
            kept.append(index)
    return kept


def iou_by_hand(box, other):
    size = np.maximum(np.minimum(box[2:], other[2:]) - np.maximum(box[:2], other[:2]), 0)
    shared = size.prod()
    return shared / ((box[2:] - box[:2]).prod() + (other[2:] - other[:2]).prod() - shared)


def suppress(boxes, scores, *arguments):
    """`grouped_nms` of one image."""
    return grouped_nms(tf.constant(boxes[None]), tf.constant(scores[None]), *arguments)


def some_boxes(rng, *shape):
    corners = rng.uniform(0, 60, (*shape, 2))
    return np.concatenate([corners, corners + rng.uniform(10, 50, (*shape, 2))], axis=-1).astype("float32")


@pytest.mark.parametrize("threshold, key", [(0.5, "050"), (0.7, "070")])
def test_nms_equals_torchvision(golden, threshold, key):
    boxes, scores = golden["nms_boxes"], golden["nms_scores"]
    keep = golden[f"nms_keep_{key}"]
    kept, kept_scores, _, count = suppress(boxes, scores[:, None], threshold, 0.0, 600)
    assert count[0] == len(keep)
    np.testing.assert_array_equal(kept[0, : len(keep)], boxes[keep])
    np.testing.assert_array_equal(kept_scores[0, : len(keep)], scores[keep])
    assert not np.any(kept[0, len(keep) :])


def test_grouped_nms_equals_torchvision(golden):
    boxes, scores, labels = golden["nms_boxes"], golden["nms_scores"], golden["nms_labels"]
    keep = golden["batched_nms_keep_050"]
    by_group = np.where(labels[:, None] == np.arange(labels.max() + 1), scores[:, None], -1.0).astype(
        "float32"
    )
    kept, _, groups, count = suppress(boxes, by_group, 0.5, 0.0, 600)
    assert count[0] == len(keep)
    np.testing.assert_array_equal(kept[0, : len(keep)], boxes[keep])
    np.testing.assert_array_equal(groups[0, : len(keep)], labels[keep])


@pytest.mark.parametrize("class_agnostic", [False, True])
def test_postprocess_equals_a_loop_over_classes(class_agnostic):
    batch, count, classes, side = 2, 40, 3, 90
    rng = np.random.default_rng(0)
    boxes = some_boxes(rng, batch, count, 1 if class_agnostic else classes)
    probabilities = rng.dirichlet(np.ones(classes + 1), (batch, count)).astype("float32")
    valid = rng.random((batch, count)) < 0.8
    shapes = np.full([batch, 2], side, "int32")
    answer = postprocess(probabilities, boxes, valid, shapes, 0.2, 0.4, 30)
    for image in range(batch):
        expected = []
        for label in range(classes):
            own = np.clip(boxes[image, :, 0 if class_agnostic else label], 0, side)
            scores = probabilities[image, :, label + 1]
            rows = np.nonzero(valid[image] & (scores > 0.2))[0]
            kept = rows[greedy_by_hand(own[rows], scores[rows], 0.4)]
            expected += [(scores[row], label, *own[row]) for row in kept]
        expected = np.array(sorted(expected, reverse=True)[:30])
        found = int(answer["num_detections"][image])
        assert found == len(expected) > 10
        np.testing.assert_allclose(answer["scores"][image, :found], expected[:, 0])
        np.testing.assert_array_equal(answer["labels"][image, :found], expected[:, 1])
        np.testing.assert_allclose(answer["boxes"][image, :found], expected[:, 2:])
        for name in ("scores", "labels", "boxes"):
            assert np.all(answer[name][image, found:] == -1)


def test_the_best_of_all_classes_fill_max_detections():
    boxes = np.array([[[[0, 0, 10, 10]], [[20, 20, 30, 30]], [[40, 40, 50, 50]]]], "float32")
    probabilities = np.array([[[0.1, 0.3, 0.6], [0.1, 0.8, 0.1], [0.3, 0.5, 0.2]]], "float32")
    answer = postprocess(probabilities, boxes, np.ones([1, 3], bool), [[64, 64]], 0.05, 0.5, 2)
    np.testing.assert_allclose(answer["scores"], [[0.8, 0.6]])
    np.testing.assert_array_equal(answer["labels"], [[0, 1]])


def test_a_score_that_is_no_number_takes_no_part():
    boxes = np.array([[0, 0, 10, 10], [1, 0, 11, 10], [30, 30, 40, 40]], "float32")
    scores = np.array([[np.nan], [0.9], [0.8]], "float32")
    kept, kept_scores, _, count = suppress(boxes, scores, 0.5, 0.05, 5)
    np.testing.assert_array_equal(count, [2])
    np.testing.assert_array_equal(kept[0, :2], boxes[1:])
    assert np.all(np.isfinite(kept_scores))


def test_scores_of_minus_infinity_take_no_part():
    boxes = np.array([[0, 0, 10, 10], [30, 30, 40, 40]], "float32")
    scores = np.array([[-np.inf], [-80.0]], "float32")
    _, _, _, count = suppress(boxes, scores, 0.5, -np.inf, 5)
    np.testing.assert_array_equal(count, [1])


def test_thresholds_are_exclusive():
    """An overlap of exactly the threshold remains, a score of exactly the threshold does not."""
    boxes = np.array([[0, 0, 10, 10], [0, 0, 10, 5], [30, 30, 40, 40]], "float32")  # IoU 0.5
    scores = np.array([[0.75], [0.5], [0.25]], "float32")
    for iou_threshold, score_threshold, left in ((0.5, 0.2, 3), (0.49, 0.2, 2), (0.5, 0.25, 2)):
        assert suppress(boxes, scores, iou_threshold, score_threshold, 4)[3][0] == left


def test_boxes_are_clipped_to_their_own_image():
    boxes = np.array([[[[-5, -5, 50, 50]]]] * 2, "float32")
    probabilities, valid = np.array([[[0.1, 0.9]]] * 2, "float32"), np.ones([2, 1], bool)
    answer = postprocess(probabilities, boxes, valid, [[20, 40], [30, 10]], 0.05, 0.5, 1)
    np.testing.assert_array_equal(answer["boxes"][:, 0], [[0, 0, 40, 20], [0, 0, 10, 30]])


def test_no_more_than_max_outputs_a_group_and_in_all():
    rng = np.random.default_rng(2)
    boxes, scores = some_boxes(rng, 400), rng.random((400, 2)).astype("float32")
    kept, kept_scores, groups, count = suppress(boxes, scores, 0.6, 0.0, 10)
    expected = sorted(
        (
            (scores[row, group], group)
            for group in (0, 1)
            for row in greedy_by_hand(boxes, scores[:, group], 0.6)
        ),
        reverse=True,
    )[:10]
    assert count[0] == 10
    np.testing.assert_array_equal(kept_scores[0], [score for score, _ in expected])
    np.testing.assert_array_equal(groups[0], [group for _, group in expected])


@pytest.mark.parametrize("count", [0, 4])
def test_no_valid_proposal_is_no_detection(count):
    answer = postprocess(
        tf.fill([1, count, 3], 0.5),
        tf.zeros([1, count, 2, 4]),
        tf.zeros([1, count], bool),
        [[64, 64]],
        0.05,
        0.5,
        7,
    )
    np.testing.assert_array_equal(answer["num_detections"], [0])
    np.testing.assert_array_equal(answer["boxes"], np.full([1, 7, 4], -1))


def test_boxes_below_the_smallest_size_are_dropped():
    boxes = tf.constant([[[[5.0, 5, 25, 25]], [[0.0, 30, 60, 30.005]]]])
    probabilities = tf.constant([[[0.1, 0.9], [0.2, 0.8]]])
    valid, shapes = tf.constant([[True, True]]), tf.constant([[64, 64]])
    for size, count in ((0.0, 2), (0.01, 1)):
        answer = postprocess(probabilities, boxes, valid, shapes, 0.05, 0.5, 4, min_box_size=size)
        assert answer["num_detections"][0] == count


def test_padding_rows_by_value():
    """0 in what `grouped_nms` gives, −1 in what `postprocess` does, in each array."""
    boxes = np.array([[0, 0, 10, 10], [1, 0, 11, 10]], "float32")
    kept, scores, groups, count = suppress(boxes, np.float32([[-3, 2], [-3, 1]]), 0.5, -2.0, 3)
    np.testing.assert_array_equal(count, [1])
    np.testing.assert_array_equal(kept, [[boxes[0], [0] * 4, [0] * 4]])
    np.testing.assert_array_equal(scores, [[2, 0, 0]])
    np.testing.assert_array_equal(groups, [[1, 0, 0]])
    probabilities, valid = np.float32([[[0.1, 0.1, 0.8], [0.2, 0.2, 0.6]]]), np.array([[True, False]])
    answer = postprocess(probabilities, boxes[None, :, None], valid, [[64, 64]], 0.3, 0.5, 3)
    np.testing.assert_array_equal(answer["num_detections"], [1])
    np.testing.assert_array_equal(answer["boxes"], [[boxes[0], [-1] * 4, [-1] * 4]])
    np.testing.assert_array_equal(answer["scores"], [[np.float32(0.8), -1, -1]])
    np.testing.assert_array_equal(answer["labels"], [[1, -1, -1]])
