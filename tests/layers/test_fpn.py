"""The feature pyramid against its definition."""

import numpy as np
import pytest
import tensorflow as tf

from keras_frcnn.layers import FeaturePyramid


def some_features(sizes):
    rng = np.random.default_rng(0)
    return [
        tf.constant(rng.normal(size=(2, height, width, 3 + index)), tf.float32)
        for index, (height, width) in enumerate(sizes)
    ]


# An odd map is half, rounded up, at the next level.
@pytest.mark.parametrize("sizes", [[(8, 12), (4, 6), (2, 3)], [(9, 13), (5, 7), (3, 4)]])
def test_equals_lateral_plus_repeated_coarser_map(sizes):
    features = some_features(sizes)
    layer = FeaturePyramid(channels=4, extra_levels=2)
    pyramid = layer(features)
    merged = [lateral(feature).numpy() for lateral, feature in zip(layer.lateral, features)]
    for level in (1, 0):
        height, width = sizes[level]
        repeated = merged[level + 1].repeat(2, axis=1).repeat(2, axis=2)
        merged[level] = merged[level] + repeated[:, :height, :width]
    for answer, conv, expected in zip(pyramid, layer.output_convs, merged):
        np.testing.assert_allclose(answer, conv(expected), rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(pyramid[3], pyramid[2][:, ::2, ::2])
    np.testing.assert_array_equal(pyramid[4], pyramid[3][:, ::2, ::2])


def test_every_level_sends_a_gradient_to_the_coarser_ones():
    features = some_features([(9, 13), (5, 7)])
    layer = FeaturePyramid(channels=4, extra_levels=0)
    with tf.GradientTape() as tape:
        tape.watch(features)
        loss = tf.reduce_sum(layer(features)[0] ** 2)
    assert all(np.any(gradient != 0) for gradient in tape.gradient(loss, features))


def test_pyramid_is_in_the_compute_dtype():
    pyramid = FeaturePyramid(channels=4, dtype="mixed_bfloat16")(some_features([(8, 8), (4, 4)]))
    assert [level.dtype for level in pyramid] == [tf.bfloat16] * 3


def test_levels_of_one_size_are_added_as_they_are():
    features = some_features([(4, 6), (4, 6)])
    layer = FeaturePyramid(channels=4, extra_levels=0)
    pyramid = layer(features)
    fine, coarse = (lateral(feature) for lateral, feature in zip(layer.lateral, features))
    np.testing.assert_allclose(pyramid[0], layer.output_convs[0](fine + coarse), rtol=1e-5, atol=1e-5)


def test_batch_norm_in_place_of_biases():
    features = some_features([(8, 12), (4, 6)])
    layer = FeaturePyramid(channels=4, batch_norm=True, epsilon=0.5)
    layer(features)
    assert len(layer.norms) == 4 and {norm.epsilon for norm in layer.norms} == {0.5}
    assert not any("bias" in weight.path for weight in layer.weights)
    before = layer(features)[0].numpy()
    trained = layer(features, training=True)[0].numpy()
    assert not np.allclose(before, trained)
    for norm in layer.norms:
        norm.moving_variance.assign(3.5 * tf.ones(4))  # with epsilon: twice the deviation, at both places
    assert len(FeaturePyramid.from_config(layer.get_config()).get_config()) == len(layer.get_config())
    np.testing.assert_array_equal(
        layer(features)[1],
        layer.output_norms[1](layer.output_convs[1](layer.lateral_norms[1](layer.lateral[1](features[1])))),
    )


@pytest.mark.parametrize("sizes", [[(8, 12), (4, 6)], [(17, 11), (9, 6)]])
def test_output_shapes_are_foretold(sizes):
    features, layer = some_features(sizes), FeaturePyramid(channels=4, extra_levels=3)
    said = layer.compute_output_shape([tuple(feature.shape) for feature in features])
    assert said == [tuple(level.shape) for level in layer(features)]
    unknown = layer.compute_output_shape([(None, None, None, 3), (None, None, None, 4)])
    assert unknown == [(None, None, None, 4)] * 5
