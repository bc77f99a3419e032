import dataclasses

import pytest

from keras_frcnn.doctor.average_precision import check_average_precision
from keras_frcnn.doctor.findings import SYMPTOM, Skipped


def test_a_model_that_finds_its_objects(case, seer):
    val = case().val
    result = check_average_precision(case(model=seer(val), tried=val))
    assert not result.findings and result.figure.startswith("AP50 is 1.000 on 13 images")


def poor(case, seer, run=None, likelihood=SYMPTOM, **recipe):
    val = case().val
    made = case(model=seer(val, lambda image: 0.02, lambda labels: (labels + 1) % 6), tried=val, run=run)
    made.recipe = dataclasses.replace(made.recipe, **recipe)
    (finding,) = check_average_precision(made).findings
    assert finding.likelihood == likelihood and "AP50 is 0.000" in finding.figure
    assert "100% of their objects are taken for background" in finding.figure
    return finding


@pytest.fixture
def logged(tmp_path):
    """A function that writes the log of a run with some losses."""

    def write(*losses):
        (tmp_path / "log.csv").write_text("\n".join(["loss", *map(str, losses)]))
        return tmp_path

    return write


def test_a_loss_that_still_falls(case, seer, logged):
    finding = poor(case, seer, logged(3.0, 2.0, 1.5), epochs=30)
    assert "still fell from 2 to 1.5 in the second half of 3 epochs; train longer" in finding.sentence
    assert "--epochs 60" in finding.command


def test_few_images_and_random_weights(case, seer, logged):
    finding = poor(case, seer, logged(3.0, 1.0, 1.0))
    assert "30 images are few" in finding.sentence and "--backbone-weights imagenet" in finding.command


def test_a_loss_that_no_longer_falls(case, seer, logged):
    finding = poor(case, seer, logged(3.0, 1.0, 1.0), backbone_weights="imagenet")
    assert "no longer falls (1 after half of 3 epochs, 1 at the end)" in finding.sentence


def test_a_loss_that_hardly_fell(case, seer, logged):
    finding = poor(case, seer, logged(1.13, 1.1, 1.02), likelihood=0.46, steps=300)
    assert "objects were those of other pictures" in finding.sentence
    assert finding.figure.startswith("the loss went from 1.13 to 1.02 in 3 epochs; AP50 is 0.000")


def test_few_updates_lower_no_loss(case, seer, logged):
    assert "objects were those" not in poor(case, seer, logged(1.13, 1.1, 1.02)).sentence


def test_without_a_log(case, seer):
    assert "train longer" in poor(case, seer, backbone_weights="imagenet").sentence


def test_classes_that_the_model_does_not_know_are_missed(case, changed, seer):
    val = case().val
    other = changed(val, lambda record: {}, class_names=tuple("abcdef"))
    figure = check_average_precision(case(model=seer(val), tried=other, train=None, val=None)).figure
    assert figure.startswith("AP50 is 0.000 on 13 images of the given set")


def test_an_rpn_is_not_scored(case, seer):
    model = seer(case().val)
    model.only_proposals = True
    with pytest.raises(Skipped, match="RPN"):
        check_average_precision(case(model=model, tried=case().val))
