"""Losses against loops and torchvision's vectors."""

import math

import numpy as np
import pytest
import tensorflow as tf

from keras_frcnn import boxes as box_ops
from keras_frcnn.losses import CrossEntropy, Focal, GIoU, SmoothL1, detection_loss, rpn_loss, smooth_l1
from keras_frcnn.sampling import RoISample

BATCH, SAMPLED, CLASSES = 2, 6, 3
CODER = box_ops.BoxCoder()


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def smooth_l1_by_hand(difference, beta):
    distance = abs(difference)
    return 0.5 * distance**2 / beta if distance < beta else distance - 0.5 * beta


def some_verdicts(rng):
    valid = rng.random((BATCH, SAMPLED)) < 0.8
    return valid & (rng.random((BATCH, SAMPLED)) < 0.5), valid


def some_sample(**given):
    rows = {
        "rois": np.tile(np.float32([10, 10, 30, 40]), (BATCH, SAMPLED, 1)),
        "labels": np.zeros([BATCH, SAMPLED], np.int32),
        "boxes": np.tile(np.float32([12, 8, 33, 37]), (BATCH, SAMPLED, 1)),
        "deltas": np.zeros([BATCH, SAMPLED, 4], np.float32),
        "positive": np.ones([BATCH, SAMPLED], bool),
        "valid": np.ones([BATCH, SAMPLED], bool),
        "match": np.zeros([BATCH, SAMPLED], np.int32),
    }
    return RoISample(**{name: tf.constant(value) for name, value in {**rows, **given}.items()})


@pytest.mark.parametrize("beta, key", [(1.0, "1.000"), (1 / 9, "0.111")])
def test_smooth_l1_equals_torchvision(shared, beta, key):
    golden = np.load(shared / "parity/ops.golden.npz")
    answer = smooth_l1(golden["smooth_l1_x"], beta)
    np.testing.assert_allclose(answer, golden[f"smooth_l1_beta_{key}"], rtol=0, atol=1e-5)


def test_smooth_l1_without_a_parabola_is_l1():
    np.testing.assert_array_equal(smooth_l1(tf.constant([-2.0, 0.0, 0.5]), 0), [2, 0, 0.5])


def test_rpn_loss_equals_loops(rng):
    logits = rng.normal(0, 3, (BATCH, SAMPLED)).astype("float32")
    deltas, targets = rng.normal(0, 1, (2, BATCH, SAMPLED, 4)).astype("float32")
    positive, valid = some_verdicts(rng)
    class_loss = box_loss = 0.0
    for image, row in zip(*np.nonzero(valid)):
        sign = 1 if positive[image, row] else -1
        class_loss += math.log(1 + math.exp(-sign * logits[image, row]))
        if positive[image, row]:
            differences = deltas[image, row] - targets[image, row]
            box_loss += sum(smooth_l1_by_hand(difference, 1 / 9) for difference in differences)
    answer = rpn_loss(logits, deltas, targets, positive, valid)
    np.testing.assert_allclose(answer, [class_loss / valid.sum(), box_loss / valid.sum()], rtol=1e-5)
    answer = rpn_loss(logits, deltas, targets, positive, valid, locations=2400)
    np.testing.assert_allclose(answer, [class_loss / valid.sum(), box_loss / 2400], rtol=1e-5)


@pytest.mark.parametrize("class_agnostic", [False, True])
def test_detection_loss_equals_loops(rng, class_agnostic):
    logits = rng.normal(0, 3, (BATCH, SAMPLED, CLASSES + 1)).astype("float32")
    boxes = 1 if class_agnostic else CLASSES
    deltas = rng.normal(0, 1, (BATCH, SAMPLED, boxes, 4)).astype("float32")
    targets = rng.normal(0, 1, (BATCH, SAMPLED, 4)).astype("float32")
    labels = rng.integers(0, CLASSES, (BATCH, SAMPLED)).astype("int32")
    positive, valid = some_verdicts(rng)
    class_loss = box_loss = 0.0
    for image, row in zip(*np.nonzero(valid)):
        label = labels[image, row]
        column = label + 1 if positive[image, row] else 0
        probabilities = np.exp(logits[image, row]) / np.exp(logits[image, row]).sum()
        class_loss -= math.log(probabilities[column])
        if positive[image, row]:
            differences = deltas[image, row, 0 if class_agnostic else label] - targets[image, row]
            box_loss += sum(smooth_l1_by_hand(difference, 1.0) for difference in differences)
    sample = some_sample(labels=labels, deltas=targets, positive=positive, valid=valid)
    answer = detection_loss(logits, deltas, sample, CODER, CrossEntropy(), SmoothL1())
    np.testing.assert_allclose(answer, [class_loss / valid.sum(), box_loss / valid.sum()], rtol=1e-5)


def test_nothing_sampled_is_no_loss_and_no_gradient(rng):
    nothing = tf.zeros([BATCH, SAMPLED], bool)
    logits = tf.constant(rng.normal(size=(BATCH, SAMPLED)), tf.float32)
    class_logits = tf.constant(rng.normal(size=(BATCH, SAMPLED, CLASSES + 1)), tf.float32)
    deltas = tf.constant(rng.normal(size=(BATCH, SAMPLED, CLASSES, 4)), tf.float32)
    targets, labels = tf.zeros([BATCH, SAMPLED, 4]), tf.zeros([BATCH, SAMPLED], tf.int32)
    sample = some_sample(labels=labels, deltas=targets, positive=nothing, valid=nothing)
    inputs = [logits, class_logits, deltas]
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        losses = [
            *rpn_loss(logits, deltas[:, :, 0], targets, nothing, nothing),
            *detection_loss(class_logits, deltas, sample, CODER, CrossEntropy(), SmoothL1()),
            *detection_loss(class_logits, deltas, sample, CODER, Focal(), GIoU()),
        ]
        loss = tf.add_n(losses)
    np.testing.assert_array_equal(losses, np.zeros(6))
    for gradient in tape.gradient(loss, inputs):
        np.testing.assert_array_equal(gradient, tf.zeros_like(gradient))


def test_focal_loss_equals_its_equation(rng):
    logits = rng.normal(0, 3, (BATCH, SAMPLED, CLASSES + 1)).astype("float32")
    columns = rng.integers(0, CLASSES + 1, (BATCH, SAMPLED)).astype("int32")
    probabilities = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    right = np.take_along_axis(probabilities, columns[..., None], 2)[..., 0]
    expected = -((1 - right) ** 1.5) * np.log(right)
    np.testing.assert_allclose(Focal(1.5)(logits, columns), expected, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(Focal(0)(logits, columns), CrossEntropy()(logits, columns), rtol=1e-6)
    # Where an answer is certain and right, neither the loss nor its gradient is lost in rounding.
    sure = tf.constant([[[6.0, 0.0]]])
    with tf.GradientTape() as tape:
        tape.watch(sure)
        loss = Focal()(sure, [[0]])
    np.testing.assert_allclose(loss, [[np.log1p(np.exp(-6.0)) / (1 + np.exp(6.0)) ** 2]], rtol=1e-3)
    assert np.isfinite(tape.gradient(loss, sure)).all()


@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0, 2.0])
def test_focal_loss_of_a_certain_answer_has_a_gradient(gamma):
    """40 apart, the cross entropy is 0 in float32, and a power below 1 is infinitely steep there."""
    logits = tf.constant([[[40.0, 0.0], [0.0, 40.0]]])
    with tf.GradientTape() as tape:
        tape.watch(logits)
        loss = Focal(gamma)(logits, [[0, 0]])
    np.testing.assert_allclose(loss, [[0.0, 40.0]], atol=1e-30)
    gradient = tape.gradient(loss, logits).numpy()
    np.testing.assert_allclose(gradient[0, 0], [0.0, 0.0], atol=1e-16)
    np.testing.assert_allclose(gradient[0, 1], [-1.0, 1.0], rtol=1e-5)


def test_giou_loss_is_of_the_decoded_boxes(rng):
    """Worked by hand: 10 × 10 boxes 5 apart have IoU 1/3 and fill what is around; 20 apart, 2/3 of it."""
    sample = some_sample(
        rois=np.tile(np.float32([0, 0, 10, 10]), (1, 3, 1)),
        boxes=np.float32([[[0, 0, 10, 10], [5, 0, 15, 10], [20, 0, 30, 10]]]),
    )
    np.testing.assert_allclose(GIoU()(tf.zeros([1, 3, 4]), sample, CODER), [[0, 2 / 3, 1 + 1 / 3]], atol=1e-6)
    coder = box_ops.BoxCoder((10.0, 10.0, 5.0, 5.0))
    exact = coder.encode(sample.boxes, sample.rois)
    np.testing.assert_allclose(GIoU()(exact, sample, coder), [[0, 0, 0]], atol=1e-6)


def test_giou_equals_torchvision(rng):
    torchvision = pytest.importorskip("torchvision.ops")
    import torch

    corners = np.sort(rng.uniform(0, 50, (2, 30, 2, 2)), axis=2).reshape(2, 30, 4).astype("float32")
    expected = torch.diagonal(torchvision.generalized_box_iou(*map(torch.tensor, corners)))
    np.testing.assert_allclose(box_ops.generalized_iou(*map(tf.constant, corners)), expected, atol=1e-6)


def test_boxes_that_are_not_learned_have_no_loss(rng):
    logits = tf.constant(rng.normal(size=(BATCH, SAMPLED, CLASSES + 1)), tf.float32)
    deltas = tf.zeros([BATCH, SAMPLED, CLASSES, 4])
    answer = detection_loss(logits, deltas, some_sample(), CODER, CrossEntropy())
    assert answer[1] is None and float(answer[0]) > 0
