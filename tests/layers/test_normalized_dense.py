"""A predictor that learns normalized targets."""

import io
import zipfile

import h5py
import keras
import numpy as np
import tensorflow as tf

import keras_frcnn as kf
from keras_frcnn.layers.normalized_dense import NormalizedDense

RANDOM = np.random.default_rng(0)
INPUTS = RANDOM.normal(size=[5, 3]).astype("float32")
MEAN, DEVIATION = RANDOM.normal(size=8).astype("float32"), RANDOM.uniform(0.1, 2, 8).astype("float32")


def test_answers_in_plain_units():
    layer = NormalizedDense(8, kernel_initializer="normal")
    layer.build(INPUTS.shape)
    layer.normalize(MEAN, DEVIATION)
    expected = (INPUTS @ layer.kernel.numpy() + layer.bias.numpy()) * DEVIATION + MEAN
    np.testing.assert_allclose(layer(INPUTS), expected, rtol=1e-5, atol=1e-6)


def test_files_hold_the_plain_layer(tmp_path):
    layer = NormalizedDense(8)
    model = keras.Sequential([keras.Input((3,)), layer])
    layer.normalize(MEAN, DEVIATION)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras").layers[0]
    kernel, bias = layer.folded()
    np.testing.assert_allclose(loaded.folded()[0], kernel, rtol=1e-5)
    np.testing.assert_allclose(loaded.folded()[1], bias, rtol=1e-5)
    for mine, theirs in zip(loaded.get_weights(), layer.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, theirs)
    with h5py.File(io.BytesIO(zipfile.ZipFile(tmp_path / "model.keras").read("model.weights.h5"))) as file:
        saved = file["layers/normalized_dense/vars"]
        np.testing.assert_allclose(saved["0"], kernel)
        np.testing.assert_allclose(saved["1"], bias)
    np.testing.assert_allclose(loaded(INPUTS), layer(INPUTS), rtol=1e-5, atol=1e-5)
    loaded.normalize(2 * MEAN, 3 * DEVIATION)
    np.testing.assert_allclose(loaded(INPUTS), layer(INPUTS), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(loaded.deviation, 3 * DEVIATION)


def test_other_statistics_change_no_answer():
    layer = NormalizedDense(8)
    before = layer(INPUTS)
    layer.normalize(MEAN, DEVIATION)
    np.testing.assert_allclose(layer(INPUTS), before, rtol=1e-4, atol=1e-5)
    layer.normalize(2 * MEAN, 3 * DEVIATION)
    np.testing.assert_allclose(layer(INPUTS), before, rtol=1e-4, atol=1e-5)


def test_float32_under_mixed_precision():
    layer = NormalizedDense(8, dtype="mixed_float16")
    assert layer(INPUTS).dtype == "float32" and layer.deviation.dtype == "float32"


def test_files_with_the_old_spelling_load():
    old = {
        "class_name": "NormalisedDense",
        "module": "keras_frcnn.layers.normalised_dense",
        "registered_name": "keras_frcnn>NormalisedDense",
        "config": {"units": 8},
    }
    assert type(keras.saving.deserialize_keras_object(old)) is NormalizedDense
    head = kf.layers.DetectionHead(2, normalized=True)
    config = head.get_config()
    config["normalised"] = config.pop("normalized")
    assert kf.layers.DetectionHead.from_config(config).normalized


def test_its_answer_is_float32_under_any_policy():
    layer = NormalizedDense(8, dtype="mixed_bfloat16")
    assert layer(tf.zeros([2, 3])).dtype == tf.float32
    assert layer(keras.KerasTensor((None, 3), "bfloat16")).dtype == "float32"
