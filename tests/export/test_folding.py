"""Folding changes no answer, and leaves no batch normalisation behind."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_frcnn as kf
from keras_frcnn.export.folding import fold_batch_norm
from keras_frcnn.export.settings import with_settings

BACKBONES = ["mobilenet_v2_fpn", "mobilenet_v3_large_320_fpn", "resnet50_fpn_v2", "resnet50"]


def spread(model):
    """Give a model's normalisation numbers as a trained one has them."""
    rng = np.random.default_rng(0)
    for weight in model.weights:
        if weight.name in ("gamma", "moving_variance"):
            weight.assign(rng.uniform(0.5, 1.5, weight.shape))
        elif weight.name in ("beta", "moving_mean"):
            weight.assign(rng.normal(0.0, 0.1, weight.shape))


def layers_of(model):
    return [layer for part in (model.backbone, model.head) for layer in part._flatten_layers()]


def normalised(model):
    return [layer for layer in layers_of(model) if isinstance(layer, keras.layers.BatchNormalization)]


@pytest.mark.parametrize("name", BACKBONES)
def test_features_and_head_stay_the_same(name):
    model = kf.FasterRCNN(["a", "b"], backbone=name, image_size=(64, 96))
    spread(model)
    folded = with_settings(model)
    fold_batch_norm(folded, model)
    assert normalised(model) and not normalised(folded)

    images = tf.random.stateless_uniform([1, 64, 96, 3], [0, 1], maxval=255.0)
    shapes = tf.constant([[64, 96]])
    features, other = model.features(images, shapes, False), folded.features(images, shapes, False)
    for one, two in zip(features, other, strict=True):
        np.testing.assert_allclose(one, two, atol=2e-5 * np.abs(one).max())
    boxes = tf.constant([[[0.0, 0, 50, 60], [20, 10, 90, 40]]])
    for one, two in zip(model.head(model.pool(features, boxes)), folded.head(folded.pool(features, boxes))):
        np.testing.assert_allclose(one, two, atol=2e-5 * np.abs(one).max())


def test_what_is_read_elsewhere_too_is_left_alone():
    image = keras.Input([None, None, 3])
    conv = keras.layers.Conv2D(4, 3, strides=2, padding="same", use_bias=False)(image)
    norm = keras.layers.BatchNormalization(scale=False)(conv)
    both = keras.layers.Add()([conv, norm])
    more = keras.layers.DepthwiseConv2D(3, strides=8, padding="same", depth_multiplier=2)(both)
    network = keras.Model(image, {"C4": keras.layers.BatchNormalization(center=False)(more)})
    model = kf.FasterRCNN(["a"], backbone=network, image_size=(64, 96))
    spread(model)
    folded = with_settings(model)
    fold_batch_norm(folded, model)
    assert len(normalised(folded)) == 1 and len(normalised(model)) == 2
    images, shapes = (
        tf.random.stateless_uniform([1, 64, 96, 3], [0, 1], maxval=255.0),
        tf.constant([[64, 96]]),
    )
    (one,), (two,) = model.features(images, shapes, False), folded.features(images, shapes, False)
    np.testing.assert_allclose(one, two, atol=2e-5 * np.abs(one).max())
