"""Folding changes no answer, and leaves no batch normalization behind."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_frcnn as kf
from keras_frcnn.backbones.mobilenet_v3_body import hard_swish
from keras_frcnn.export.folding import fold_batch_norm
from keras_frcnn.export.settings import with_settings

BACKBONES = ["mobilenet_v2_fpn", "mobilenet_v3_large_320_fpn", "resnet50_fpn_v2", "resnet50"]


def spread(model):
    """Give a model's normalization numbers as a trained one has them."""
    rng = np.random.default_rng(0)
    for weight in model.weights:
        if weight.name in ("gamma", "moving_variance"):
            weight.assign(rng.uniform(0.5, 1.5, weight.shape))
        elif weight.name in ("beta", "moving_mean"):
            weight.assign(rng.normal(0.0, 0.1, weight.shape))


def layers_of(model):
    return [layer for part in (model.backbone, model.head) for layer in part._flatten_layers()]


def normalized(model):
    return [layer for layer in layers_of(model) if isinstance(layer, keras.layers.BatchNormalization)]


@pytest.mark.parametrize("name", BACKBONES)
def test_features_and_head_stay_the_same(name):
    model = kf.FasterRCNN(["a", "b"], backbone=name, image_size=(64, 96))
    spread(model)
    folded = with_settings(model)
    fold_batch_norm(folded, model)
    assert normalized(model) and not normalized(folded)

    images = tf.random.stateless_uniform([1, 64, 96, 3], [0, 1], maxval=255.0)
    shapes = tf.constant([[64, 96]])
    features, other = model.features(images, shapes, False), folded.features(images, shapes, False)
    for one, two in zip(features, other, strict=True):
        np.testing.assert_allclose(one, two, atol=2e-5 * np.abs(one).max())
    boxes = tf.constant([[[0.0, 0, 50, 60], [20, 10, 90, 40]]])
    for one, two in zip(model.head(model.pool(features, boxes)), folded.head(folded.pool(features, boxes))):
        np.testing.assert_allclose(one, two, atol=2e-5 * np.abs(one).max())


def read_twice(image):
    conv = keras.layers.Conv2D(4, 3, strides=2, padding="same", use_bias=False)(image)
    both = keras.layers.Add()([conv, keras.layers.BatchNormalization(scale=False)(conv)])
    more = keras.layers.DepthwiseConv2D(3, strides=8, padding="same", depth_multiplier=2)(both)
    return {"C4": keras.layers.BatchNormalization(center=False)(more)}


def one_convolution_for_two_levels(image):
    conv = keras.layers.Conv2D(4, 3, padding="same", use_bias=False)
    fine = keras.layers.Conv2D(4, 3, strides=8, padding="same")(image)
    coarse = keras.layers.Conv2D(4, 3, strides=2, padding="same")(fine)
    levels = [keras.layers.BatchNormalization()(conv(level)) for level in (fine, coarse)]
    return dict(zip(("P3", "P4"), levels))


def a_network_within(image):
    inner = keras.Input([None, None, 3])
    conv = keras.layers.Conv2D(4, 3, strides=8, padding="same")(inner)
    norm = keras.layers.BatchNormalization()(conv)
    further = keras.layers.BatchNormalization()(keras.layers.Conv2D(4, 3, strides=2, padding="same")(norm))
    fine, coarse = keras.Model(inner, [norm, further], name="inner")(image)
    return {"P3": keras.layers.ReLU()(fine), "P4": coarse}


def one_norm_for_two_layers(image):
    norm = keras.layers.BatchNormalization()
    pooled = norm(keras.layers.AveragePooling2D(16)(image))
    return {"C4": norm(keras.layers.Conv2D(3, 3, padding="same")(pooled))}


def also_an_output(image):
    conv = keras.layers.Conv2D(4, 3, strides=8, padding="same")(image)
    norm = keras.layers.BatchNormalization()(conv)
    return {"P3": conv, "P4": keras.layers.AveragePooling2D(2)(norm)}


@pytest.mark.parametrize(
    "make, folded_away",
    [
        (read_twice, 1),
        (a_network_within, 2),
        (one_convolution_for_two_levels, 0),
        (one_norm_for_two_layers, 0),
        (also_an_output, 0),
    ],
)
def test_networks_of_ones_own(make, folded_away):
    image = keras.Input([None, None, 3])
    model = kf.FasterRCNN(["a"], backbone=keras.Model(image, make(image)), image_size=(64, 96))
    spread(model)
    folded = with_settings(model)
    fold_batch_norm(folded, model)
    assert len(normalized(model)) - len(normalized(folded)) == folded_away
    images, shapes = (
        tf.random.stateless_uniform([1, 64, 96, 3], [0, 1], maxval=255.0),
        tf.constant([[64, 96]]),
    )
    features, other = model.features(images, shapes, False), folded.features(images, shapes, False)
    for one, two in zip(features, other, strict=True):
        np.testing.assert_allclose(one, two, atol=2e-5 * np.abs(one).max())


def test_no_gradient_of_its_own_stands_between_convolution_and_hard_swish():
    model = kf.FasterRCNN(["a", "b"], backbone="mobilenet_v3_large_320_fpn", image_size=(64, 96))
    folded = with_settings(model)
    fold_batch_norm(folded, model)

    def activations(network):
        return [getattr(layer, "activation", None) for layer in network._flatten_layers()]

    assert activations(model.backbone).count(hard_swish) == 20
    assert hard_swish not in activations(folded.backbone)
