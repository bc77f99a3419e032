"""Mean and deviation of the box targets, against a slow loop."""

import math
from types import SimpleNamespace

import numpy as np
import pytest

import keras_frcnn as kf
from keras_frcnn.models.box_statistics import USUAL_DEVIATION, box_statistics

WIDTH = 140


def record(boxes, labels, ignore):
    return SimpleNamespace(boxes=np.float32(boxes), labels=np.int32(labels), ignore=np.array(ignore, bool))


def mirrored(boxes):
    return boxes[:, [2, 1, 0, 3]] * [-1, 1, -1, 1] + np.float32([WIDTH, 0, WIDTH, 0])


def iou(a, b):
    width = max(min(a[2], b[2]) - max(a[0], b[0]), 0)
    height = max(min(a[3], b[3]) - max(a[1], b[1]), 0)
    area = [(box[2] - box[0]) * (box[3] - box[1]) for box in (a, b)]
    return width * height / (sum(area) - width * height)


@pytest.fixture(scope="module")
def dataset():
    random = np.random.default_rng(0)
    records, proposals = [], []
    for _ in range(6):
        corner = random.uniform(0, 80, [3, 2])
        boxes = np.concatenate([corner, corner + random.uniform(20, 60, [3, 2])], axis=1)
        records.append(record(boxes, random.integers(0, 2, 3), [False, False, True]))
        near = boxes[random.integers(0, 3, 30)] + random.normal(0, 4, [30, 4])
        proposals.append(near.astype(np.float32))
    return SimpleNamespace(
        name="made up", class_names=("a", "b", "never"), records=records, proposals=proposals
    )


@pytest.fixture(scope="module")
def doubled(dataset):
    """The images and their mirrors, as py-faster-rcnn's roidb.py gets them to measure."""
    mirrors = [record(mirrored(one.boxes), one.labels, one.ignore) for one in dataset.records]
    return SimpleNamespace(
        **{
            **vars(dataset),
            "records": dataset.records + mirrors,
            "proposals": dataset.proposals + [mirrored(boxes) for boxes in dataset.proposals],
        }
    )


def pairs(dataset):
    for record, proposals in zip(dataset.records, dataset.proposals):
        objects = [index for index in range(3) if not record.ignore[index]]
        for roi in [*proposals, *record.boxes[objects]]:
            best = max(objects, key=lambda index: iou(roi, record.boxes[index]))
            box = record.boxes[best]
            if iou(roi, box) >= 0.5:
                width, height = roi[2] - roi[0], roi[3] - roi[1]
                yield (
                    record.labels[best],
                    (
                        ((box[0] + box[2]) - (roi[0] + roi[2])) / 2 / width,
                        ((box[1] + box[3]) - (roi[1] + roi[3])) / 2 / height,
                        math.log((box[2] - box[0]) / width),
                        math.log((box[3] - box[1]) / height),
                    ),
                )


@pytest.mark.parametrize("flip", [0.0, 0.5])
def test_equals_a_loop(dataset, doubled, flip):
    trained_on = list(pairs(doubled if flip else dataset))
    mean, deviation = box_statistics(dataset, flip=flip)
    for label in range(2):
        deltas = np.array([delta for own, delta in trained_on if own == label])
        assert len(deltas) > 20
        np.testing.assert_allclose(mean[label], deltas.mean(0), atol=1e-5)
        np.testing.assert_allclose(deviation[label], deltas.std(0), rtol=1e-4)
    assert (np.abs(mean[:2, 0]) < 1e-6).all() == (flip == 0.5)
    together = np.array([delta for _, delta in trained_on])
    mean, deviation = box_statistics(dataset, class_agnostic=True, flip=flip)
    np.testing.assert_allclose(mean, [together.mean(0)], atol=1e-5)
    np.testing.assert_allclose(deviation, [together.std(0)], rtol=1e-4)


def test_a_class_without_pairs_has_the_usual_deviation(dataset):
    mean, deviation = box_statistics(dataset)
    assert not mean[2].any()
    np.testing.assert_allclose(deviation[2], USUAL_DEVIATION)


def test_refuses_a_set_without_proposals(dataset):
    with pytest.raises(ValueError, match="with_proposals"):
        box_statistics(SimpleNamespace(**{**vars(dataset), "proposals": None}))


def test_a_set_that_is_always_mirrored(dataset):
    once, always = box_statistics(dataset, flip=0.0), box_statistics(dataset, flip=1.0)
    np.testing.assert_allclose(always[0], once[0] * [-1, 1, 1, 1], atol=1e-7)
    np.testing.assert_allclose(always[1], once[1], rtol=1e-6)


def test_training_says_how_often_it_mirrors(dataset):
    model = kf.FastRCNN(dataset.class_names, backbone="mobilenet_v2", head_units=(8,))
    for flip in (0.0, 0.5):
        model.prepare_training(dataset, flip)
        mean, deviation = box_statistics(dataset, flip=flip)
        np.testing.assert_allclose(model.head.deviation, deviation)
        np.testing.assert_allclose(model.head.box_dense.mean.numpy().reshape(mean.shape), mean)
