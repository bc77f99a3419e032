"""What Fast and Faster R-CNN share of the second stage."""

import keras
import numpy as np
import pytest

import keras_frcnn as kf
from keras_frcnn import backbones

UNITS = (8, 6)
RANDOM = np.random.default_rng(0)
FC = tuple(
    (RANDOM.normal(size=shape).astype("float32"), RANDOM.normal(size=shape[1:]).astype("float32"))
    for shape in ((3 * 3 * 4, 8), (8, 6))
)


@pytest.fixture
def asked(monkeypatch):
    """A list that grows when the dense layers of the backbone "small" are read."""
    asked = []

    def read():
        asked.append(True)
        return FC

    def small(weights):
        images = keras.Input((None, None, 3))
        features = keras.layers.Conv2D(4, 3, 16, "same")(images)
        return backbones.Backbone(
            network=keras.Model(images, [features], name="small"),
            strides=(16,),
            pooled_levels=1,
            anchor_sizes=((32,),),
            preprocessing="tf",
            defaults={"head_units": UNITS, "pool_size": 3},
            source="a file",
            load_fc=read,
        )

    monkeypatch.setitem(backbones.NETWORKS, "small", small)
    return asked


@pytest.mark.parametrize("kind", [kf.FasterRCNN, kf.FastRCNN])
def test_pretrained_dense_layers_arrive(kind, asked):
    model = kind(["a"], backbone="small")
    assert asked == [True]
    for (layer,), pair in zip(model.head.dense, FC, strict=True):
        for ours, theirs in zip(layer.get_weights(), pair, strict=True):
            np.testing.assert_array_equal(ours, theirs)
        assert layer.weights_source == "a file"


@pytest.mark.parametrize("arguments", [{"head_units": (8, 7)}, {"head_ranks": (4, None)}])
def test_dense_layers_that_cannot_fit_are_not_asked_for(arguments, asked):
    """They take half a gigabyte with VGG16, and for "imagenet" a download."""
    model = kf.FastRCNN(["a"], backbone="small", **arguments)
    assert not asked
    assert not any(hasattr(layer, "weights_source") for layers in model.head.dense for layer in layers)
