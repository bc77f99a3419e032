import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_frcnn import backbones
from keras_frcnn.backbones import symmetric_convolutions
from keras_frcnn.backbones.zf import LocalResponseNormalization

# models/pascal_voc/ZF/faster_rcnn_end2end/train.prototxt of py-faster-rcnn: outputs, kernel, stride, pad.
CONVOLUTIONS = [(96, 7, 2, 3), (256, 5, 2, 2), (384, 3, 1, 1), (384, 3, 1, 1), (256, 3, 1, 1)]


@pytest.fixture(scope="module")
def zf():
    return backbones.get("zf")


def test_the_layers_are_those_of_the_prototxt(zf):
    inputs, parameters = 3, 0
    for stage, (outputs, size, stride, pad) in enumerate(CONVOLUTIONS, start=1):
        layer = zf.network.get_layer(f"stage{stage}_conv")
        assert layer.kernel.shape == (size, size, inputs, outputs)
        assert layer.strides == (stride, stride) and type(layer) is symmetric_convolutions.Conv2D
        assert symmetric_convolutions.padding(layer) == [[0, 0], [pad, pad], [pad, pad], [0, 0]]
        parameters += size * size * inputs * outputs + outputs
        inputs = outputs
    assert zf.network.count_params() == parameters == 3_726_464
    for stage in (1, 2):
        norm, pool = (zf.network.get_layer(f"stage{stage}_{name}") for name in ("norm", "pool"))
        assert (norm.size, norm.alpha, norm.beta) == (3, 0.00005, 0.75)
        assert (pool.pool_size, pool.strides) == ((3, 3), (2, 2))


@pytest.mark.parametrize("height, width", [(16, 32), (48, 160), (608, 1008)])
def test_the_stride_is_16(zf, height, width):
    maps = zf.network.compute_output_shape((2, height, width, 3))
    assert tuple(maps[0]) == (2, height // 16, width // 16, 256)


def test_a_cell_looks_at_the_pixels_around_sixteen_times_its_index(zf):
    images = tf.random.stateless_uniform([1, 320, 320, 3], [0, 1], -120.0, 120.0)
    with tf.GradientTape() as tape:
        tape.watch(images)
        cell = tf.reduce_sum(zf.network(images)[0, 10, 10])
    seen = np.flatnonzero(np.abs(tape.gradient(cell, images)).sum(axis=(0, 2, 3)))
    # 139 pixels (171 through the RPN, as section 3.3 has it) and the 20 that normalization adds around them.
    assert 160 - 79 <= seen[0] <= 160 - 69 and 160 + 69 <= seen[-1] <= 160 + 79


def test_what_goes_with_it(zf):
    assert zf.defaults == {
        "frozen_stages": 0,
        "rpn_channels": 256,
        "pool_size": 6,
        "pool_offset": 1 / 32,
        "head_units": (4096, 4096),
        "head_dropout": 0.5,
    }
    assert zf.anchor_sizes == ((128, 256, 512),)
    assert zf.fc == ()


def numpy_lrn(features, size, alpha, beta):
    """Caffe's LRN within channels: average pooling that counts the padding, then a power."""
    _, height, width, _ = features.shape
    out = np.empty_like(features)
    reach = size // 2
    for y in range(height):
        for x in range(width):
            square = features[:, max(y - reach, 0) : y + reach + 1, max(x - reach, 0) : x + reach + 1] ** 2
            mean = square.sum(axis=(1, 2)) / size**2
            out[:, y, x] = features[:, y, x] / (1 + alpha * mean) ** beta
    return out


@pytest.mark.parametrize("size, alpha, beta", [(3, 5e-5, 0.75), (5, 0.01, 0.5)])
def test_normalization_against_numpy(size, alpha, beta):
    features = 200.0 * np.random.default_rng(0).random((2, 6, 7, 3))
    ours = LocalResponseNormalization(size, alpha, beta)(features)
    np.testing.assert_allclose(ours, numpy_lrn(features, size, alpha, beta), rtol=1e-5)


def test_normalization_is_float32_inside():
    features = np.full([1, 4, 4, 2], 600.0)  # its square is beyond float16
    ours = LocalResponseNormalization(dtype="mixed_float16")(features)
    assert ours.dtype == "float16"
    np.testing.assert_allclose(ours, numpy_lrn(features, 3, 5e-5, 0.75), rtol=1e-3)


def test_normalization_saves_its_arguments():
    layer = LocalResponseNormalization(5, 0.01, 0.5, dtype="mixed_bfloat16")
    again = LocalResponseNormalization.from_config(layer.get_config())
    assert again.get_config() == layer.get_config()


def test_keras_round_trip(zf, tmp_path):
    zf.network.save(tmp_path / "zf.keras")
    loaded = keras.saving.load_model(tmp_path / "zf.keras")
    images = np.random.default_rng(0).uniform(-120, 120, (1, 64, 80, 3)).astype("float32")
    np.testing.assert_array_equal(loaded(images), zf.network(images))


def test_weights_of_a_file(zf, tmp_path):
    zf.network.save_weights(tmp_path / "mine.weights.h5")
    loaded = backbones.get("zf", tmp_path / "mine.weights.h5")
    assert loaded.source == "mine.weights.h5"
    for ours, theirs in zip(loaded.network.weights, zf.network.weights, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_there_are_no_imagenet_weights():
    with pytest.raises(ValueError, match="zf has no ImageNet weights") as error:
        backbones.get("zf", "imagenet")
    assert "\n" not in str(error.value)
