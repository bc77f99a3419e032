"""Losses against loops and torchvision's vectors."""

import math

import numpy as np
import pytest
import tensorflow as tf

from keras_frcnn.losses import detection_loss, rpn_loss, smooth_l1

BATCH, SAMPLED, CLASSES = 2, 6, 3


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def smooth_l1_by_hand(difference, beta):
    distance = abs(difference)
    return 0.5 * distance**2 / beta if distance < beta else distance - 0.5 * beta


def some_verdicts(rng):
    valid = rng.random((BATCH, SAMPLED)) < 0.8
    return valid & (rng.random((BATCH, SAMPLED)) < 0.5), valid


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
    answer = detection_loss(logits, deltas, labels, targets, positive, valid)
    np.testing.assert_allclose(answer, [class_loss / valid.sum(), box_loss / valid.sum()], rtol=1e-5)


def test_nothing_sampled_is_no_loss_and_no_gradient(rng):
    nothing = tf.zeros([BATCH, SAMPLED], bool)
    logits = tf.constant(rng.normal(size=(BATCH, SAMPLED)), tf.float32)
    class_logits = tf.constant(rng.normal(size=(BATCH, SAMPLED, CLASSES + 1)), tf.float32)
    deltas = tf.constant(rng.normal(size=(BATCH, SAMPLED, CLASSES, 4)), tf.float32)
    targets, labels = tf.zeros([BATCH, SAMPLED, 4]), tf.zeros([BATCH, SAMPLED], tf.int32)
    inputs = [logits, class_logits, deltas]
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        losses = [
            *rpn_loss(logits, deltas[:, :, 0], targets, nothing, nothing),
            *detection_loss(class_logits, deltas, labels, targets, nothing, nothing),
        ]
        loss = tf.add_n(losses)
    np.testing.assert_array_equal(losses, np.zeros(4))
    for gradient in tape.gradient(loss, inputs):
        np.testing.assert_array_equal(gradient, tf.zeros_like(gradient))
