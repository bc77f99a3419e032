"""What the layers that use it cannot show; their own tests compare values and gradients."""

import numpy as np
import pytest
import tensorflow as tf

from keras_frcnn import _compat
from keras_frcnn.layers import RoIAlign, RoIPooling
from keras_frcnn.ops import kernels
from keras_frcnn.ops.bilinear_reads import bilinear_reads

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


def gradients(layer, features, boxes, kind):
    """Of the sum of all bins with respect to the maps, in a graph whose number of boxes is not known."""

    @tf.function(input_signature=[tf.TensorSpec([1, None, 4])])
    def gradient(boxes):
        with tf.GradientTape() as tape:
            tape.watch(features)
            total = tf.reduce_sum(layer(features, boxes))
        return tape.gradient(total, features)

    with kernels.use(kind):
        return gradient(boxes)


def test_no_sum_is_lost_where_boxes_overlap():
    """Threads that add to the same cell at once, as in the gradient of crop_and_resize, lose a tenth here."""
    features = [tf.random.stateless_normal([1, 32, 32, 64], [0, 1])]
    boxes = tf.tile(tf.constant([[[40.0, 40, 300, 280]]]), [1, 256, 1])
    stock = gradients(RoIAlign(7, (16,)), features, boxes, "stock")[0]
    assert float(tf.reduce_sum(stock)) == pytest.approx(256 * 49 * 64, rel=1e-5)
    np.testing.assert_allclose(
        stock, gradients(RoIAlign(7, (16,)), features, boxes, "xla")[0], rtol=1e-4, atol=1e-4
    )


@pytest.mark.parametrize("kind", ["stock", "xla"])
@pytest.mark.parametrize("method", [RoIAlign, RoIPooling])
def test_no_boxes_at_all(method, kind):
    features = [tf.ones([1, 8, 8, 4]), tf.ones([1, 4, 4, 4])]
    for gradient in gradients(method(7, (8, 16)), features, tf.zeros([1, 0, 4]), kind):
        assert not np.any(gradient)


@pytest.mark.parametrize("method", [RoIAlign, RoIPooling])
def test_sums_of_segments_are_those_of_scattering(method, monkeypatch):
    """Where operations have to be deterministic."""
    features = [
        tf.random.stateless_normal([1, 12, 16, 4], [0, 1]),
        tf.random.stateless_normal([1, 6, 8, 4], [0, 2]),
    ]
    boxes = tf.constant([[[8.0, 8, 60, 70], [0.0, 5, 128, 90], [30.0, 30, 50, 40]]])
    usual = gradients(method(7, (8, 16)), features, boxes, "xla")
    monkeypatch.setattr(_compat, "deterministic", lambda: True)
    for mine, theirs in zip(gradients(method(7, (8, 16)), features, boxes, "xla"), usual, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-5, atol=1e-5)
