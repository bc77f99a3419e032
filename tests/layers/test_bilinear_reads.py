"""What the layers that use it cannot show; their own tests compare values and gradients."""

import numpy as np
import tensorflow as tf

from keras_frcnn.layers.bilinear_reads import bilinear_reads

LEVEL = tf.zeros([1], tf.int32)


def test_a_place_that_is_no_number_is_0():
    feature = tf.ones([1, 3, 4, 2])
    y, x = tf.constant([[1.0, np.nan, np.inf]]), tf.constant([[np.nan, 2.0, -np.inf]])
    samples = bilinear_reads([feature], y, x, LEVEL, LEVEL)
    np.testing.assert_array_equal(samples[0, :, :, 0], [[0, 1, 0], [0, 0, 0], [0, 0, 0]])


def test_half_precision_gradients_are_summed_in_float32():
    """Half precision would stop counting at 2048 (float16) or 256 (bfloat16)."""
    for dtype in (tf.float16, tf.bfloat16):
        feature = tf.ones([1, 1, 1, 1], dtype)
        with tf.GradientTape() as tape:
            tape.watch(feature)
            total = tf.reduce_sum(
                bilinear_reads([feature], tf.zeros([1, 4096]), tf.zeros([1, 1]), LEVEL, LEVEL)
            )
        assert tape.gradient(total, feature) == 4096
