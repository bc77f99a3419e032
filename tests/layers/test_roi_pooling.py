"""RoIPooling against a slow crop and maximum in NumPy."""

import math

import numpy as np
import pytest
import tensorflow as tf

from keras_frcnn.layers import RoIPooling
from keras_frcnn.ops import kernels


@pytest.fixture(autouse=True, params=["stock", "xla"])
def kernels_in_use(request):
    with kernels.use(request.param):
        yield


def read(feature, y, x):
    """One bilinear sample, x and y in cells, middle of the first cell at 0; 0 farther out than a cell."""
    height, width, _ = feature.shape
    if not (-1 <= y <= height and -1 <= x <= width):
        return np.zeros(feature.shape[-1])
    y, x = min(max(y, 0), height - 1), min(max(x, 0), width - 1)
    top, left = min(int(y), height - 2), min(int(x), width - 2)
    v, u = y - top, x - left
    return (
        (1 - v) * (1 - u) * feature[top, left]
        + (1 - v) * u * feature[top, left + 1]
        + v * (1 - u) * feature[top + 1, left]
        + v * u * feature[top + 1, left + 1]
    )


def pool_by_hand(feature, box, stride, pool_size, samples):
    """`[P, P, C]`: the maximum of S × S samples in each bin."""
    x1, y1, x2, y2 = np.asarray(box, float) / stride - 0.5
    grid = pool_size * samples
    ys = [y1 + (y2 - y1) * (index + 0.5) / grid for index in range(grid)]
    xs = [x1 + (x2 - x1) * (index + 0.5) / grid for index in range(grid)]
    crop = np.array([[read(feature.astype(float), y, x) for x in xs] for y in ys])
    return crop.reshape(pool_size, samples, pool_size, samples, -1).max(axis=(1, 3))


BOXES = {
    "inside": (24.0, 31.0, 120.0, 100.5),
    "whole": (0.0, 0.0, 160.0, 128.0),
    "top_left": (0.0, 0.0, 10.0, 40.0),
    "bottom_right": (130.0, 90.0, 160.0, 128.0),
    "smaller_than_a_cell": (50.0, 60.0, 53.0, 61.0),
    "no_area": (40.0, 40.0, 40.0, 40.0),
    "partly_outside": (-40.0, 60.0, 60.0, 200.0),
    "outside": (300.0, 300.0, 400.0, 400.0),
}


@pytest.mark.parametrize("pool_size, samples", [(7, 2), (3, 1), (2, 3)])
def test_equals_a_crop_and_a_maximum(pool_size, samples):
    feature = np.random.default_rng(0).normal(size=(2, 8, 10, 3)).astype("float32")
    boxes = np.tile(np.array(list(BOXES.values()), "float32"), (2, 1, 1))
    pooled = RoIPooling(pool_size, strides=(16,), samples=samples)(feature, boxes)
    for image in range(2):
        for row, (name, box) in enumerate(BOXES.items()):
            expected = pool_by_hand(feature[image], box, 16, pool_size, samples)
            np.testing.assert_allclose(pooled[image, row], expected, rtol=0, atol=1e-5, err_msg=name)


def level_by_hand(box, strides):
    """Feature Pyramid Networks, equation 1."""
    x1, y1, x2, y2 = box
    level = math.floor(4 + math.log2(math.sqrt((x2 - x1) * (y2 - y1)) / 224))
    return min(max(level, round(math.log2(strides[0]))), round(math.log2(strides[-1])))


def test_each_roi_is_pooled_from_its_level():
    strides = (4, 8, 16, 32)
    rng = np.random.default_rng(0)
    features = [rng.normal(size=(2, 512 // stride, 512 // stride, 2)).astype("float32") for stride in strides]
    sides = [
        (20, 30),
        (112, 112),
        (111.9, 111.9),
        (60, 300),
        (224, 224),
        (223.9, 223.9),
        (448, 448),
        (500, 510),
    ]
    corners = rng.uniform(0, 12, (2, len(sides), 2))
    boxes = np.concatenate([corners, corners + sides], axis=-1).astype("float32")
    boxes[1] = boxes[1, ::-1]
    layer = RoIPooling(2, strides)
    pooled = layer(features, boxes)
    seen = set()
    for image in range(2):
        for row, box in enumerate(boxes[image].astype(float).round(3)):
            level = level_by_hand(box, [2**2, 2**5])
            seen.add(level)
            expected = pool_by_hand(features[level - 2][image], boxes[image, row], 2**level, 2, 2)
            np.testing.assert_allclose(pooled[image, row], expected, rtol=0, atol=1e-5)
            assert layer.levels(boxes[image, row]) == level - 2
    assert seen == {2, 3, 4, 5}


def test_roi_without_area_goes_to_the_finest_level():
    assert RoIPooling(strides=(4, 8)).levels(tf.constant([5.0, 5, 5, 5])) == 0


def test_gradient_equals_finite_differences():
    rng = np.random.default_rng(0)
    layer = RoIPooling(2, strides=(8,))
    boxes = np.array([[[4, 6, 29, 25], [0, 0, 40, 32]]], "float32")
    feature = rng.normal(size=(1, 4, 5, 2)).astype("float32")
    weights = rng.normal(size=(1, 2, 2, 2, 2)).astype("float32")

    def loss(feature):
        return tf.reduce_sum(layer(feature, boxes) * weights)

    with tf.GradientTape() as tape:
        watched = tf.constant(feature)
        tape.watch(watched)
        value = loss(watched)
    gradient = tape.gradient(value, watched).numpy()
    step = 1e-2
    for position in np.ndindex(feature.shape):
        plus, minus = feature.copy(), feature.copy()
        plus[position] += step
        minus[position] -= step
        difference = (loss(plus) - loss(minus)) / (2 * step)
        np.testing.assert_allclose(gradient[position], difference, atol=2e-3)
