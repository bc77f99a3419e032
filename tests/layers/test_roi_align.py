"""RoIAlign against torchvision's vectors.

Coordinates are float32, here and there: their last place (4e-6 of a cell beyond cell 32) times the slope
between two cells decides the sixth digit. Exact arithmetic is 2e-5 from torchvision's gradients, whose
values reach 23; hence the usual tolerance, 1e-5 absolute and relative.
"""

import numpy as np
import pytest
import tensorflow as tf

from keras_frcnn.layers import RoIAlign
from keras_frcnn.ops import kernels


@pytest.fixture(autouse=True, params=["stock", "xla"])
def kernels_in_use(request):
    with kernels.use(request.param):
        yield


@pytest.fixture(scope="module")
def golden(shared):
    return np.load(shared / "parity/ops.golden.npz")


@pytest.mark.parametrize("aligned", [False, True])
@pytest.mark.parametrize("pool_size", [7, 2])
def test_values_and_gradient_equal_torchvision(golden, pool_size, aligned):
    layer = RoIAlign(pool_size, strides=(16,), aligned=aligned)
    key = f"roi_align_{pool_size}_aligned{int(aligned)}"
    feature = tf.constant(golden["feature"])
    boxes = tf.tile(golden["boxes"][None], [2, 1, 1])
    rows = np.stack([golden["batch_index"], np.arange(40)], axis=1)
    with tf.GradientTape() as tape:
        tape.watch(feature)
        pooled = tf.gather_nd(layer(feature, boxes), rows)
        weights = np.linspace(0.1, 1, tf.size(pooled), dtype="float32").reshape(40, 8, pool_size, pool_size)
        loss = tf.reduce_sum(pooled * weights.transpose(0, 2, 3, 1))
    np.testing.assert_allclose(pooled, golden[key], rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(tape.gradient(loss, feature), golden[f"{key}_grad"], rtol=1e-5, atol=1e-5)


def test_a_ramp_is_read_at_the_middles_of_the_bins():
    ramp = tf.reshape(tf.range(25.0), [1, 5, 5, 1])
    pooled = RoIAlign(pool_size=2, strides=(1,))(ramp, tf.constant([[[1.0, 1, 3, 3]]]))
    np.testing.assert_allclose(pooled[0, 0, :, :, 0], [[6, 7], [11, 12]], rtol=1e-6)


@pytest.mark.parametrize("height", [1, 2, 3, 4])
@pytest.mark.parametrize("width", [1, 3])
def test_gradient_on_small_maps(height, width):
    """RoIAlign is linear in the features: its gradient at a cell is its answer to that cell alone."""
    align = RoIAlign(pool_size=2, strides=(1,))
    boxes = tf.constant([[[-0.5, -0.5, width + 0.5, height + 0.5], [0, 0, 1, 1]]])
    weights = tf.reshape(tf.range(1.0, 9.0), [1, 2, 2, 2, 1])
    feature = tf.Variable(tf.ones([1, height, width, 1]))
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(align(feature, boxes) * weights)
    gradient = tape.gradient(loss, feature).numpy().ravel()
    for cell, found in enumerate(gradient):
        alone = tf.reshape(tf.one_hot(cell, height * width), feature.shape)
        assert found == pytest.approx(float(tf.reduce_sum(align(alone, boxes) * weights)), abs=1e-5)
