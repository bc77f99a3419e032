"""The region proposal network as a model of its own."""

import json

import keras
import numpy as np
import pytest

import keras_frcnn as kf
from keras_frcnn import evaluation
from keras_frcnn.data.readers import shapes

SMALL = {
    "backbone": "tiny_fpn",
    "image_size": (96, 128),
    "rpn_channels": 16,
    "rpn_pre_nms": (100, 50),
    "rpn_post_nms": (50, 20),
}


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(0)
    return kf.RPN(**SMALL)


def test_trains(make_batches):
    keras.utils.set_random_seed(0)
    model = kf.RPN(**SMALL)
    model.compile(keras.optimizers.Adam(1e-3))
    ((x, y),) = make_batches(1)
    logs = [model.train_on_batch(x, y, return_dict=True) for _ in range(20)]
    assert set(logs[0]) == {*("loss", "rpn_class_loss", "rpn_box_loss", "proposal_recall", "average_recall")}
    assert logs[-1]["loss"] < logs[0]["loss"]


def equation_1(model, x, y, n_reg, weight):
    """Faster R-CNN, section 3.1.2: the two terms in NumPy, over the minibatch that the model draws."""
    rpn = model.rpn(model.features(x["images"], x["image_shapes"], False), x["image_shapes"])
    index, targets, positive, valid, _ = (
        part.numpy()
        for part in model.proposals.targets(rpn["anchors"], x["image_shapes"], y, model.sampling_seed(False))
    )
    class_loss = box_loss = 0.0
    for image, row in zip(*np.nonzero(valid)):
        logit = rpn["objectness"].numpy()[image, index[image, row]]
        probability = 1 / (1 + np.exp(-logit))
        if positive[image, row]:
            class_loss -= np.log(probability)
            distance = np.abs(rpn["deltas"].numpy()[image, index[image, row]] - targets[image, row])
            box_loss += np.where(distance < 1 / 9, 4.5 * distance**2, distance - 1 / 18).sum()
        else:
            class_loss -= np.log(1 - probability)
    return class_loss / valid.sum(), weight * box_loss / n_reg


@pytest.mark.parametrize("form", ["py-faster-rcnn", "paper"])
def test_the_loss_is_equation_1(form, make_batches):
    ((x, y),) = make_batches(1)
    paper = {"rpn_box_loss_weight": 10.0, "rpn_box_normalizer": "locations"}
    keras.utils.set_random_seed(0)
    model = kf.RPN(**SMALL, **(paper if form == "paper" else {}))
    # Two images of 96 × 96 pixels, a map of each of the strides 8 to 128.
    locations = 2 * (12 * 12 + 6 * 6 + 3 * 3 + 2 * 2 + 1)
    n_reg, weight = (locations, 10.0) if form == "paper" else (2 * model.arguments["rpn_batch_size"], 1.0)
    losses, _ = model.training_losses(x, y, training=False)
    expected = equation_1(model, x, y, n_reg, weight)
    np.testing.assert_allclose([losses["rpn_class_loss"], losses["rpn_box_loss"]], expected, rtol=1e-4)


def test_refuses_an_unknown_normalizer():
    with pytest.raises(ValueError, match="use 'sampled' or 'locations'"):
        kf.RPN(**SMALL, rpn_box_normalizer="positives")


def test_proposals_are_detections_of_one_class(model, image_of):
    image = image_of(90, 130)
    proposals, found = model.propose(image), model.detect(image)
    np.testing.assert_allclose(proposals["boxes"], found["boxes"], atol=0.05)
    np.testing.assert_allclose(proposals["scores"], found["scores"], atol=1e-4)
    assert model.class_names == ("object",) and not found["labels"].any()
    assert 0 < len(proposals["boxes"]) <= 20
    assert np.all(np.diff(proposals["scores"]) <= 0)
    assert np.all(proposals["boxes"] >= 0) and np.all(proposals["boxes"] <= [130, 90, 130, 90])


def test_numbers_of_proposals(model, image_of):
    image = image_of(90, 130)
    assert len(model.propose(image, top=7)["boxes"]) == 7
    assert len(model.propose(image, training=True)["boxes"]) > 20


def test_faster_rcnn_proposes_too(make_model, image_of):
    assert len(make_model().propose(image_of(90, 130), top=5)["boxes"]) == 5


def test_is_scored_by_recall(model):
    results = evaluation.evaluate(model, shapes.load("val", 3))
    assert results["images"] == 3 and set(results["recall"]) == {"0.5", "0.7"}
    assert results["seconds_per_image"] > 0
    assert "recall in percent" in evaluation.report(results)


def test_round_trip(model, image_of, tmp_path, assert_same):
    model.save(tmp_path / "rpn.keras")
    loaded = keras.saving.load_model(tmp_path / "rpn.keras")
    assert loaded.get_config() == json.loads(json.dumps(model.get_config()))
    assert_same(loaded.detect(image_of(90, 130)), model.detect(image_of(90, 130)))
    model.export(tmp_path / "1")
    assert_same(kf.export.load(tmp_path / "1").detect(image_of(90, 130)), model.detect(image_of(90, 130)))
