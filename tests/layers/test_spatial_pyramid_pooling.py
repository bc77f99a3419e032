"""SpatialPyramidPooling against ExactRoIPooling, one grid at a time, and against SPPnet's appendix A."""

import math

import numpy as np
import pytest
import tensorflow as tf

from keras_frcnn.layers import ExactRoIPooling, SpatialPyramidPooling

RNG = np.random.default_rng(0)
FEATURE = tf.constant(RNG.normal(size=(2, 19, 32, 5)), tf.float32)
CORNERS = np.sort(RNG.uniform(-40, 540, (2, 30, 2, 2)), axis=2).reshape(2, 30, 4)
BOXES = tf.constant(CORNERS, tf.float32)


def value_and_gradient(function, weights):
    with tf.GradientTape() as tape:
        tape.watch(FEATURE)
        value = function()
        loss = tf.reduce_sum(value * weights)
    return value, tape.gradient(loss, FEATURE)


@pytest.mark.parametrize("levels, bins", [((1, 2, 3, 6), 50), ((4, 3, 1), 26)])
def test_is_one_exact_pooling_after_another(levels, bins):
    layer = SpatialPyramidPooling(levels)
    weights = RNG.normal(size=(2, 30, 5 * bins)).astype("float32")
    value, gradient = value_and_gradient(lambda: layer(FEATURE, BOXES), weights)
    assert value.shape == weights.shape

    def one_by_one():
        grids = [ExactRoIPooling(side)(FEATURE, BOXES) for side in levels]
        return tf.concat([tf.reshape(grid, [2, 30, -1]) for grid in grids], axis=-1)

    expected, expected_gradient = value_and_gradient(one_by_one, weights)
    np.testing.assert_array_equal(value, expected)
    np.testing.assert_allclose(gradient, expected_gradient, rtol=0, atol=1e-5)


def region_by_hand(low, high, count, stride, offset):
    """First and past-the-last cell along an axis by SPPnet's appendix A.

    An empty region and one beyond the map as in the authors' spm_pool_caffe_mex.cpp, less MATLAB's 1.
    """
    first = math.floor((low - offset * stride) / stride) + 1
    last = math.ceil((high - offset * stride) / stride) - 1
    if first > last:
        first = last = (first + last) // 2
    return min(max(first, 0), count - 1), min(max(last, 0), count - 1) + 1


def pyramid_by_hand(feature, box, levels, stride, offset):
    height, width, _ = feature.shape
    left, right = region_by_hand(box[0], box[2], width, stride, offset)
    top, bottom = region_by_hand(box[1], box[3], height, stride, offset)
    pooled = []
    for side in levels:
        for i, j in np.ndindex(side, side):
            rows = [top + i * (bottom - top) // side, top - (-(i + 1) * (bottom - top) // side)]
            columns = [left + j * (right - left) // side, left - (-(j + 1) * (right - left) // side)]
            pooled.append(feature[slice(*rows), slice(*columns)].max(axis=(0, 1)))
    return np.concatenate(pooled)


@pytest.mark.parametrize("jit_compile", [False, True], ids=["graph", "xla"])
@pytest.mark.parametrize("offset", [0.0, 1 / 32, 0.5])
def test_corners_by_the_appendix(offset, jit_compile):
    random = np.random.default_rng(1)
    size = np.exp(random.uniform(0, 6, [2, 12, 2]))
    corner = random.uniform(0, 1, [2, 12, 2]) * [500, 290]
    boxes = np.concatenate([corner, np.minimum(corner + size, [512, 304])], axis=2).astype("float32")
    boxes[:, :3] = [[16, 32, 96, 160], [0, 0, 512, 304], [0, 0, 3, 2]]
    layer = SpatialPyramidPooling((1, 2, 3), corners="centers", offset=offset)
    pooled = tf.function(layer, jit_compile=jit_compile)(FEATURE, boxes)
    for image, row in np.ndindex(2, 12):
        expected = pyramid_by_hand(FEATURE[image].numpy(), boxes[image, row], (1, 2, 3), 16, offset)
        np.testing.assert_array_equal(pooled[image, row], expected)


def test_the_cells_of_the_papers_formula():
    """S = 16: ⌊20/16⌋ + 1 = 2 and ⌈100/16⌉ − 1 = 6, whose receptive fields are centered at 32 and 96."""
    index = tf.tile(tf.range(12.0)[None, None, :, None], [1, 12, 1, 1])
    features = tf.concat([index, -index], axis=-1)
    layer = SpatialPyramidPooling((1,), corners="centers", offset=0.0)
    last, first = layer(features, tf.constant([[[20.0, 0, 100, 192]]]))[0, 0].numpy() * [1, -1]
    assert (first, last) == (2, 6)


def test_unknown_corners():
    with pytest.raises(ValueError, match="Unknown corners 'half_open'; use 'inclusive' or 'centers'"):
        SpatialPyramidPooling(corners="half_open")


def test_the_whole_image_at_the_coarsest_level_is_the_global_maximum():
    whole = tf.tile(tf.constant([[[0.0, 0, 511, 303]]]), [2, 1, 1])
    pooled = SpatialPyramidPooling((1, 4))(FEATURE, whole)
    np.testing.assert_array_equal(pooled[:, 0, :5], tf.reduce_max(FEATURE, axis=[1, 2]))
    np.testing.assert_array_equal(
        tf.reduce_max(tf.reshape(pooled[:, 0, 5:], [2, 16, 5]), axis=1), pooled[:, 0, :5]
    )


def test_xla_equals_plain():
    layer = SpatialPyramidPooling((1, 3))
    compiled = tf.function(layer, jit_compile=True)(FEATURE, BOXES)
    np.testing.assert_array_equal(compiled, layer(FEATURE, BOXES))


@pytest.mark.parametrize("layer", [SpatialPyramidPooling(), ExactRoIPooling()])
def test_a_paper_sized_image_again_and_again(layer):
    """Two thousand RoIs on conv5_3 of VGG16, where Grappler once put variables into the loop over windows."""
    random = np.random.default_rng(0)
    size = np.exp(random.uniform(np.log(32), np.log(500), [2000, 2]))
    corner = random.uniform(0, 1, [2000, 2]) * np.maximum([800, 600] - size, 0)
    boxes = np.concatenate([corner, np.minimum(corner + size, [800, 600])], axis=1)
    features, boxes = tf.random.normal([1, 38, 50, 512]), tf.constant(boxes[None], tf.float32)
    pool = tf.function(lambda: tf.reduce_max(layer([features], boxes)))
    assert [float(pool()) for _ in range(3)] == [float(tf.reduce_max(features))] * 3


def test_configuration_round_trip():
    layer = SpatialPyramidPooling((1, 4), (8, 16), 112.0, 3, "centers", 0.25, name="spp")
    clone = SpatialPyramidPooling.from_config(layer.get_config())
    assert clone.get_config() == layer.get_config()
    assert clone.compute_output_shape([(2, 9, 9, 4), (2, 5, 5, 4)], (2, 7, 4)) == (2, 7, 17 * 4)
