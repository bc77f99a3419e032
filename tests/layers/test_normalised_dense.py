"""A predictor that learns normalised targets."""

import keras
import numpy as np

from keras_frcnn.layers.normalised_dense import NormalisedDense

RANDOM = np.random.default_rng(0)
INPUTS = RANDOM.normal(size=[5, 3]).astype("float32")
MEAN, DEVIATION = RANDOM.normal(size=8).astype("float32"), RANDOM.uniform(0.1, 2, 8).astype("float32")


def test_answers_in_plain_units():
    layer = NormalisedDense(8, kernel_initializer="normal")
    layer.build(INPUTS.shape)
    layer.normalise(MEAN, DEVIATION)
    expected = (INPUTS @ layer.kernel.numpy() + layer.bias.numpy()) * DEVIATION + MEAN
    np.testing.assert_allclose(layer(INPUTS), expected, rtol=1e-5, atol=1e-6)


def test_files_hold_the_plain_layer(tmp_path):
    layer = NormalisedDense(8)
    model = keras.Sequential([keras.Input((3,)), layer])
    layer.normalise(MEAN, DEVIATION)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras").layers[0]
    kernel, bias = layer.folded()
    np.testing.assert_allclose(loaded.kernel, kernel)
    np.testing.assert_allclose(loaded.bias, bias)
    assert not loaded.mean.numpy().any() and np.all(loaded.deviation.numpy() == 1)
    np.testing.assert_allclose(loaded(INPUTS), layer(INPUTS), rtol=1e-5, atol=1e-5)
    loaded.normalise(2 * MEAN, 3 * DEVIATION)
    np.testing.assert_allclose(loaded(INPUTS), layer(INPUTS), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(loaded.deviation, 3 * DEVIATION)


def test_a_new_layer_keeps_its_small_weights():
    layer = NormalisedDense(8)
    layer(INPUTS)
    before = layer.kernel.numpy()
    layer.normalise(MEAN, DEVIATION)
    np.testing.assert_array_equal(layer.kernel, before)


def test_float32_under_mixed_precision():
    layer = NormalisedDense(8, dtype="mixed_float16")
    assert layer(INPUTS).dtype == "float32" and layer.deviation.dtype == "float32"
