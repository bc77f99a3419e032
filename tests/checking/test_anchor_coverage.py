"""Anchor coverage beside the obvious way: all anchors of the layer, one by one."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

import keras_frcnn as kf
from keras_frcnn.checking.anchor_coverage import best_anchor_iou, better_factor, resized_objects, scaled
from keras_frcnn.layers import AnchorGenerator

SIDES = {
    "one map": {"sizes": ((16, 40),), "strides": (16,), "rounding": "none"},
    "pyramid": {"sizes": (8, 24, 64), "strides": (4, 8, 16)},
    "torchvision": {
        "sizes": (8, 24, 64),
        "strides": (4, 8, 16),
        "offset": 0.0,
        "rounding": "torchvision",
        "steps": "quotient",
    },
}


def oracle(anchors, box, shape, cross_border):
    """The best IoU among all anchors of an image that is padded to a multiple of 32."""
    padded = [-(-side // 32) * 32 for side in shape]
    maps = [tf.zeros([1, padded[0] // stride, padded[1] // stride, 1]) for stride in anchors.strides]
    every = anchors(maps).numpy().astype(np.float64)
    low = high = (every[:, :2] + every[:, 2:]) / 2
    if not cross_border:
        low, high = every[:, :2], every[:, 2:]
    every = every[((low >= 0) & (high <= [shape[1], shape[0]])).all(1)]
    shared = np.minimum(every[:, 2:], box[2:]) - np.maximum(every[:, :2], box[:2])
    shared = np.prod(np.maximum(shared, 0), axis=1)
    union = np.prod(every[:, 2:] - every[:, :2], axis=1) + np.prod(np.subtract(box[2:], box[:2])) - shared
    return (shared / union).max(initial=0)


@pytest.mark.parametrize("cross_border", [True, False])
@pytest.mark.parametrize("kind", [kind for kind in SIDES])
@settings(max_examples=40, deadline=None)
@given(corner=st.tuples(*2 * [st.floats(0, 90)]), side=st.tuples(*2 * [st.floats(1, 90)]))
def test_it_equals_a_search_over_all_anchors(kind, cross_border, corner, side):
    anchors, shape = AnchorGenerator(**SIDES[kind]), (96, 128)
    box = [*corner, min(corner[0] + side[0], 128), min(corner[1] + side[1], 96)]
    if box[3] <= box[1]:
        return
    found = best_anchor_iou(anchors, np.array([box]), np.array([shape]), cross_border)
    assert found[0] == pytest.approx(oracle(anchors, box, shape, cross_border), abs=1e-5)


def test_the_better_factor_is_found_where_anchors_are_too_large():
    dataset = kf.data.load("shapes@val")
    boxes, shapes = resized_objects(dataset, (256, 320))
    fitting = AnchorGenerator(sizes=(16, 32, 64, 128), strides=(4, 8, 16, 32))
    assert better_factor(fitting, boxes, shapes) == 1.0
    assert 0.1 < better_factor(scaled(fitting, 6), boxes, shapes) < 0.3
    assert best_anchor_iou(scaled(fitting, 6), boxes, shapes).mean() < 0.4
    assert better_factor(fitting, boxes[:0], shapes[:0]) == 1.0


def test_objects_are_resized_with_their_images_and_ignored_ones_left_out():
    images = [np.zeros([50, 100, 3], np.uint8)]
    dataset = kf.data.from_arrays(
        images, [[[10, 5, 20, 25], [0, 0, 9, 9]]], [["a", "a"]], ignore=[[False, True]]
    )
    boxes, shapes = resized_objects(dataset, (100, 1000))
    assert boxes.tolist() == [[20, 10, 40, 50]] and shapes.tolist() == [[100, 200]]
