import pytest

import keras_frcnn as kf
from keras_frcnn.doctor.findings import DECISIVE, Skipped
from keras_frcnn.doctor.frozen import check_frozen


@pytest.fixture
def model(case):
    return kf.FasterRCNN(case().train.class_names, image_size=(128, 160))


def test_a_model_that_trains(case, model):
    assert not check_frozen(case(model=model)).findings


def test_a_few_frozen_weights_are_not_rounded_away(case, model):
    model.rpn.trainable = False
    figure = check_frozen(case(model=model, recipe=None)).figure
    every = sum(weight.numpy().size for weight in model.weights)
    trains = sum(weight.numpy().size for weight in model.trainable_weights)
    assert 0 < trains < every and figure == f"{trains:,} of {every:,} weights train"


def test_without_a_model_it_is_not_tested(case):
    with pytest.raises(Skipped, match="there is no training recipe"):
        check_frozen(case(recipe=None))


def test_everything_frozen(case, model):
    model.trainable = False
    (finding,) = check_frozen(case(model=model)).findings
    assert finding.sentence.startswith("Nothing trains") and finding.figure.startswith("0 of ")


def test_a_frozen_head(case, model):
    model.head.trainable = False
    assert "head" in check_frozen(case(model=model)).findings[0].sentence


def test_the_backbone_of_an_sppnet_is_frozen_by_method(case):
    model = kf.SPPNet(case().train.class_names, "zf", head_units=(8,))
    assert not check_frozen(case(model=model, recipe=None)).findings


def test_a_frozen_backbone(case, model):
    model.backbone.trainable = False
    (finding,) = check_frozen(case(model=model)).findings
    assert "whole backbone" in finding.sentence and finding.likelihood >= DECISIVE
