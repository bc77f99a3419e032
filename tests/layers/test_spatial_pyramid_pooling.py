"""SpatialPyramidPooling against ExactRoIPooling, one grid at a time."""

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
    layer = SpatialPyramidPooling((1, 4), (8, 16), 112.0, 3, name="spp")
    clone = SpatialPyramidPooling.from_config(layer.get_config())
    assert clone.get_config() == layer.get_config()
    assert clone.compute_output_shape([(2, 9, 9, 4), (2, 5, 5, 4)], (2, 7, 4)) == (2, 7, 17 * 4)
