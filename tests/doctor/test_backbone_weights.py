"""The backbone file of MobileNetV2, whole and damaged in several ways."""

import dataclasses

import keras
import numpy as np
import pytest

import keras_frcnn as kf
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


class Dull:
    """Pictures unlike photographs: gray, dark and of low contrast."""

    def image(self, index):
        gray = np.random.default_rng(index).normal(60, 4, (256, 320, 1))
        return np.repeat(gray, 3, axis=2).astype(np.uint8)


@pytest.mark.slow
def test_pictures_of_a_set_play_no_role(case, shared):
    train = case().train
    dull = kf.data.DetectionDataset("dull", train.class_names, train.records, Dull())
    recipe = dataclasses.replace(
        case().recipe, backbone="mobilenet_v2_fpn", backbone_weights=str(shared / "weights" / FILE)
    )
    assert not check_backbone_weights(case(recipe=recipe, train=dull)).findings


def noisy(value):
    deviation = value.std() if value.ndim > 1 else 0.0
    return value + np.random.default_rng(0).normal(0, deviation, value.shape)


def half_zero(value):
    """Lose the second half of each kernel."""
    lost = np.arange(value.size).reshape(value.shape) >= value.size / 2
    return np.where(lost & (value.ndim > 1), 0.0, value)


def flipped(value):
    """Flip one bit of the sign or exponent in half of the weights of each kernel."""
    if value.ndim < 2:
        return value
    rng = np.random.default_rng(0)
    bits = np.uint32(1) << rng.choice([23, 24, 25, 26, 31], value.shape).astype(np.uint32)
    return (value.view(np.uint32) ^ bits * (rng.random(value.shape) < 0.5)).view(np.float32)


@pytest.mark.slow
@pytest.mark.parametrize(
    "change, what",
    [
        (None, "never trained"),
        (noisy, "not those of a trained network"),
        (half_zero, "not those of a trained network"),
        (flipped, "not those of a trained network"),
        (lambda value: value * (50 if value.ndim > 1 else 1), "not those of a trained network"),
        (lambda value: value * (value.shape[-1] != 320), "not those"),
        (lambda value: np.random.default_rng(0).permutation(value.ravel()).reshape(value.shape), "not those"),
    ],
    ids=["untrained", "noisy", "half zero", "flipped", "scaled", "zeros", "shuffled"],
)
def test_damaged_weights(case, damaged, change, what):
    (finding,) = findings(case, damaged(change))
    assert finding.cause == "backbone weights" and what in finding.sentence


def test_weights_that_are_not_finite_are_refused_at_load(case, damaged):
    with pytest.raises(ValueError, match="not finite"):
        findings(case, damaged(lambda value: np.where(value > 1.0, np.nan, value)))


def test_a_network_without_normalization(case, shared, tmp_path):
    file = shared / "weights" / "vgg16_hed_bsds500_notop.weights.h5"
    vgg16 = dataclasses.replace(case().recipe, backbone="vgg16", backbone_weights=str(file))
    assert not check_backbone_weights(case(recipe=vgg16)).findings
    random = tmp_path / "random.weights.h5"
    keras.applications.VGG16(include_top=False, weights=None).save_weights(random)
    vgg16 = dataclasses.replace(vgg16, backbone_weights=str(random))
    (finding,) = check_backbone_weights(case(recipe=vgg16)).findings
    assert "as noise does" in finding.figure


@pytest.mark.slow
def test_pixels_normalized_in_another_way(case, shared):
    (finding,) = findings(case, shared / "weights" / FILE, preprocessing="caffe")
    assert finding.cause == "preprocessing" and "'tf'" in finding.sentence
