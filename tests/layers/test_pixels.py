"""Pixel normalization against keras.applications, and its padding."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_frcnn.layers import PixelNormalization

IMAGES = np.random.default_rng(0).integers(0, 256, (2, 5, 7, 3)).astype("uint8")
WHOLE = tf.constant([[5, 7], [5, 7]])


@pytest.mark.parametrize("preprocessing", ["caffe", "torch", "tf"])
@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_equals_keras_applications(preprocessing, dtype):
    answer = PixelNormalization(preprocessing)(tf.cast(IMAGES, dtype), WHOLE)
    expected = keras.applications.imagenet_utils.preprocess_input(
        IMAGES.astype("float32"), mode=preprocessing
    )
    np.testing.assert_allclose(answer, expected, rtol=1e-5, atol=1e-5)


def test_the_named_networks_agree():
    for module, preprocessing in (("vgg16", "caffe"), ("resnet50", "caffe"), ("mobilenet_v2", "tf")):
        expected = getattr(keras.applications, module).preprocess_input(IMAGES.astype("float32"))
        np.testing.assert_allclose(
            PixelNormalization(preprocessing)(IMAGES, WHOLE), expected, rtol=1e-5, atol=1e-5
        )


@pytest.mark.parametrize("preprocessing", ["caffe", "torch", "tf"])
def test_padding_is_zero_whatever_it_was(preprocessing):
    layer = PixelNormalization(preprocessing, multiple=4)
    answer = layer(IMAGES, tf.constant([[5, 7], [3, 2]])).numpy()
    assert answer.shape == (2, 8, 8, 3)
    np.testing.assert_array_equal(answer[0, :5, :7], layer(IMAGES, WHOLE)[0, :5, :7])
    np.testing.assert_array_equal(answer[1, :3, :2], layer(IMAGES, WHOLE)[1, :3, :2])
    answer[0, :5, :7] = 0
    answer[1, :3, :2] = 0
    assert not answer.any()


def test_a_network_that_normalizes_gets_pixels_and_the_mean_around_them():
    mean = PixelNormalization.MEAN_BGR[::-1]
    answer = PixelNormalization("none", multiple=4)(IMAGES, tf.constant([[5, 7], [3, 2]])).numpy()
    np.testing.assert_allclose(answer[0, :5, :7], IMAGES[0], atol=1e-4)
    np.testing.assert_allclose(answer[1, :3, :2], IMAGES[1, :3, :2], atol=1e-4)
    answer[0, :5, :7] = answer[1, :3, :2] = mean
    np.testing.assert_allclose(answer, np.broadcast_to(mean, answer.shape), atol=1e-4)


def test_full_sides_are_not_padded():
    assert PixelNormalization("tf", multiple=5)(IMAGES[:, :5, :5], tf.fill([2, 2], 5)).shape == (2, 5, 5, 3)


def test_pixels_are_in_the_compute_dtype_and_normalized_before():
    answer = PixelNormalization("caffe", dtype="mixed_float16")(IMAGES, WHOLE)
    exact = PixelNormalization("caffe")(IMAGES, WHOLE)
    assert answer.dtype == tf.float16
    np.testing.assert_array_equal(answer, tf.cast(exact, tf.float16))


def test_unknown_preprocessing_is_refused():
    with pytest.raises(ValueError, match="use 'caffe', 'torch', 'tf' or 'none'"):
        PixelNormalization("pytorch")
