"""The fully connected layers that VGG16's weights bring for the head."""

import keras
import numpy as np
import pytest

from keras_frcnn import backbones

REAL = keras.applications.VGG16


@pytest.fixture(scope="module")
def classifier():
    """VGG16 with a narrow top in place of the one that takes half a gigabyte."""
    bottom = REAL(include_top=False, weights=None, input_shape=(64, 64, 3))
    x = keras.layers.Flatten()(bottom.output)
    for name, units in (("fc1", 8), ("fc2", 6), ("predictions", 5)):
        x = keras.layers.Dense(units, bias_initializer="random_normal", name=name)(x)
    return keras.Model(bottom.input, x, name="vgg16")


def assert_same_as(classifier, backbone):
    for layer in backbone.network.layers:
        for ours, theirs in zip(layer.weights, layer.weights and classifier.get_layer(layer.name).weights):
            np.testing.assert_array_equal(ours, theirs)
    assert len(backbone.fc) == 2
    for (kernel, bias), name in zip(backbone.fc, ("fc1", "fc2")):
        theirs = classifier.get_layer(name)
        np.testing.assert_array_equal(kernel, theirs.kernel)
        np.testing.assert_array_equal(bias, theirs.bias)


def test_a_file_with_the_top(classifier, tmp_path):
    classifier.save_weights(tmp_path / "vgg16.weights.h5")
    backbone = backbones.get("vgg16", tmp_path / "vgg16.weights.h5")
    assert_same_as(classifier, backbone)
    assert backbone.source == "vgg16.weights.h5"


def test_a_file_without_the_top(shared):
    assert backbones.get("vgg16", shared / "weights/vgg16_hed_bsds500_notop.weights.h5").fc == ()


def test_no_weights():
    assert backbones.get("vgg16").fc == ()


def test_imagenet_is_asked_for_the_top_only_where_it_is_wanted(classifier, monkeypatch):
    asked = []

    def application(include_top=True, weights="imagenet", **arguments):
        if weights is None:
            return REAL(include_top=include_top, weights=None, **arguments)
        asked.append(include_top)
        if include_top:
            return classifier
        network = REAL(include_top=False, weights=None, **arguments)
        for layer in network.layers:
            if layer.weights:
                layer.set_weights(classifier.get_layer(layer.name).get_weights())
        return network

    monkeypatch.setattr(keras.applications, "VGG16", application)
    backbone = backbones.get("vgg16", "imagenet")
    assert asked == [False]
    assert_same_as(classifier, backbone)
    assert True in asked and backbone.source == "imagenet"


def test_the_top_cannot_be_downloaded(monkeypatch):
    def application(include_top=True, weights="imagenet", **arguments):
        if include_top:
            raise Exception("URL fetch failure")
        return REAL(include_top=False, weights=None, **arguments)

    monkeypatch.setattr(keras.applications, "VGG16", application)
    with pytest.raises(ValueError, match="ImageNet weights of vgg16 could not be downloaded"):
        assert backbones.get("vgg16", "imagenet").fc


@pytest.mark.slow
def test_the_real_top(tmp_path):
    real = REAL(weights=None)
    real.save_weights(tmp_path / "vgg16.weights.h5")
    backbone = backbones.get("vgg16", tmp_path / "vgg16.weights.h5")
    assert_same_as(real, backbone)
    assert [kernel.shape for kernel, _ in backbone.fc] == [(25088, 4096), (4096, 4096)]
