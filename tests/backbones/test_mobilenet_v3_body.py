"""The pieces of MobileNetV3 against their definitions."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_frcnn.backbones.mobilenet_v3_body import PixelConvolution, hard_swish


@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16"])
def test_hard_swish_is_the_papers_with_its_slope(dtype):
    x = tf.constant([-7.0, -3.5, -2.0, -0.5, 0.0, 0.5, 2.0, 3.5, 7.0], dtype)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = hard_swish(x)
    numbers = np.float64(tf.cast(x, tf.float64))
    tolerance = 1e-2 if dtype == "bfloat16" else 1e-6
    np.testing.assert_allclose(
        tf.cast(y, tf.float64), numbers * np.clip(numbers + 3, 0, 6) / 6, rtol=tolerance, atol=tolerance
    )
    slope = np.where(abs(numbers) < 3, numbers / 3 + 0.5, numbers > 0)
    np.testing.assert_allclose(tf.cast(tape.gradient(y, x), tf.float64), slope, rtol=tolerance)


def test_a_convolution_of_one_pixel_is_a_convolution():
    scale = tf.random.stateless_normal([3, 1, 1, 40], [0, 1])
    ours = PixelConvolution(16, 1, activation="relu")
    plain = keras.layers.Conv2D(16, 1, activation="relu")
    ours.build(scale.shape)
    plain.build(scale.shape)
    ours.bias.assign(tf.random.stateless_normal([16], [2, 3]))
    plain.set_weights(ours.get_weights())
    np.testing.assert_allclose(ours(scale), plain(scale), atol=1e-5)
    assert ours.compute_output_shape((3, 1, 1, 40)) == ours(scale).shape
