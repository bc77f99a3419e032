"""The backbone file of MobileNetV2, whole and damaged in several ways."""

import dataclasses

import keras
import numpy as np
import pytest

from keras_frcnn.doctor.backbone_weights import check_backbone_weights

FILE = "mobilenet_v2_1.0_coco_ssd_notop.weights.h5"


@pytest.fixture(scope="module")
def damaged(shared, tmp_path_factory):
    """A function that writes the weights, changed by a function, to a file."""
    network = keras.applications.MobileNetV2(include_top=False, weights=None)
    untrained = network.get_weights()
    network.load_weights(shared / "weights" / FILE)
    weights = network.get_weights()

    def write(change):
        network.set_weights(untrained if change is None else [change(value) for value in weights])
        file = tmp_path_factory.mktemp("weights") / "backbone.weights.h5"
        network.save_weights(file)
        return file

    return write


def findings(case, file, **detector):
    recipe = dataclasses.replace(
        case().recipe, backbone="mobilenet_v2_fpn", backbone_weights=str(file), detector=detector
    )
    return check_backbone_weights(case(recipe=recipe)).findings


def test_random_weights_are_no_fault(case):
    assert not check_backbone_weights(case()).findings


def test_whole_weights(case, shared):
    assert not findings(case, shared / "weights" / FILE)


def noisy(value):
    deviation = value.std() if value.ndim > 1 else 0.0
    return value + np.random.default_rng(0).normal(0, deviation, value.shape)


@pytest.mark.parametrize(
    "change, what",
    [
        (None, "never trained"),
        (noisy, "not those of a trained network"),
        (lambda value: value * (50 if value.ndim > 1 else 1), "not those of a trained network"),
        (lambda value: np.where(value > 1.0, np.nan, value), "not those"),
        (lambda value: value * (value.shape[-1] != 320), "not those"),
        (lambda value: np.random.default_rng(0).permutation(value.ravel()).reshape(value.shape), "not those"),
    ],
    ids=["untrained", "noisy", "scaled", "nan", "zeros", "shuffled"],
)
def test_damaged_weights(case, damaged, change, what):
    (finding,) = findings(case, damaged(change))
    assert finding.cause == "backbone weights" and what in finding.sentence


def test_a_network_without_normalization(case, shared, tmp_path):
    file = shared / "weights" / "vgg16_hed_bsds500_notop.weights.h5"
    vgg16 = dataclasses.replace(case().recipe, backbone="vgg16", backbone_weights=str(file))
    assert not check_backbone_weights(case(recipe=vgg16)).findings
    random = tmp_path / "random.weights.h5"
    keras.applications.VGG16(include_top=False, weights=None).save_weights(random)
    vgg16 = dataclasses.replace(vgg16, backbone_weights=str(random))
    (finding,) = check_backbone_weights(case(recipe=vgg16)).findings
    assert "as noise does" in finding.figure


def test_pixels_normalized_in_another_way(case, shared):
    (finding,) = findings(case, shared / "weights" / FILE, preprocessing="caffe")
    assert finding.cause == "preprocessing" and "'tf'" in finding.sentence
