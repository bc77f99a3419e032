"""The second stage: what it takes of its backbone."""

import keras
import numpy as np
import pytest

import keras_frcnn as kf
from keras_frcnn import backbones

FILE = "mine.weights.h5"


@pytest.fixture
def dense():
    """Kernels and biases of fc6 and fc7, for 2 × 2 bins of 3 channels."""
    rng = np.random.default_rng(0)
    shapes = ((12, 8), (8,)), ((8, 6), (6,))
    return [tuple(rng.normal(size=size).astype("float32") for size in pair) for pair in shapes]


@pytest.fixture
def make(dense, monkeypatch):
    """A function that makes a Fast R-CNN whose backbone brings `dense`; `.asked` counts the times it did."""

    def load():
        make.asked += 1
        return dense

    def make(**arguments):
        images = keras.Input((None, None, 3))
        network = keras.Model(images, keras.layers.Conv2D(3, 3, 16, padding="same")(images))
        backbone = backbones.Backbone(
            network=network,
            strides=(16,),
            pooled_levels=1,
            anchor_sizes=((64,),),
            preprocessing="tf",
            stages=(),
            defaults={"head_units": (8, 6), "pool_size": 2},
            source=FILE,
            load_fc=load,
        )
        monkeypatch.setattr(backbones, "get", lambda *_: backbone)
        return kf.FastRCNN(["a"], **arguments)

    make.asked = 0
    return make


def arrived(model, dense):
    ours = [array for layers in model.head.dense for layer in layers for array in layer.get_weights()]
    theirs = [array for pair in dense for array in pair]
    return len(ours) == len(theirs) and all(map(np.array_equal, ours, theirs))


@pytest.mark.parametrize("arguments", [{}, {"head_units": [8, 6]}])
def test_pretrained_dense_layers_arrive(make, dense, arguments):
    model = make(**arguments)
    assert make.asked == 1 and arrived(model, dense)
    assert FILE in model.loading_report()


@pytest.mark.parametrize("arguments", [{"head_units": (8, 7)}, {"head_units": (8,)}, {"head_ranks": (2, 2)}])
def test_dense_layers_that_cannot_fit_are_not_asked_for(make, dense, arguments):
    """Those of VGG16 are half a gigabyte."""
    model = make(**arguments)
    assert make.asked == 0 and not arrived(model, dense)


def test_dense_layers_for_other_bins_stay_new(make, dense):
    model = make(pool_size=3)
    assert make.asked == 1 and not arrived(model, dense)


def test_unknown_pooling(make):
    with pytest.raises(ValueError, match="Unknown pooling 'max'; use one of roi_pooling, roi_align, exact"):
        make(pooling="max")
