"""The figures show what the models compute; each is drawn for every method that has it."""

import dataclasses

import numpy as np
import pytest

import keras_frcnn as kf
from keras_frcnn.data.readers import shapes
from keras_frcnn.evaluation.matches import match
from keras_frcnn.evaluation.tide import classify
from keras_frcnn.figures import FIGURES, Subject, write
from keras_frcnn.figures.errors import kinds_of

SIZE = {"image_size": (96, 120)}
EXTERNAL = {"pool_size": 2, "head_units": (8, 8)}


@pytest.fixture(scope="module")
def subject(trained, scenes):
    known = scenes.with_class_names(trained.class_names)
    return Subject(trained, known.image(3), known.records[3])


def untrained(kind, network, **arguments):
    names = () if kind == "RPN" else (shapes.CLASS_NAMES,)
    return getattr(kf, kind)(*names, backbone=network, **SIZE, **arguments)


def titles(figure):
    return [axes.get_title() for axes in figure.axes if axes.get_title()]


def boxes_in(axes):
    return [patch for patch in axes.patches if patch.get_width() > 0]


@pytest.mark.parametrize("name", FIGURES)
def test_is_written(name, subject, tmp_path):
    write(FIGURES[name](subject), tmp_path / f"new/{name}.png")
    assert (tmp_path / f"new/{name}.png").stat().st_size > 5000


@pytest.mark.parametrize("name", ["anchors", "proposals", "features", "rois"])
def test_needs_no_ground_truth(name, subject):
    assert FIGURES[name](Subject(subject.model, subject.image)).axes


def test_anchors_are_those_of_the_model(subject):
    axes = FIGURES["anchors"](subject).axes
    levels, objects = len(subject.features), len(subject.truth.labels)
    k = subject.model.rpn.anchors.anchors_per_cell
    assert [len(boxes_in(panel)) for panel in axes[:levels]] == [k] * levels
    positive = [len(boxes_in(panel)) - objects for panel in axes[levels:]]
    assert sum(positive) >= objects  # every object has an anchor that fits it best


def test_targets_are_a_whole_minibatch(subject):
    figure = FIGURES["targets"](subject)
    numbers = [[int(word) for word in title.split() if word.isdecimal()] for title in titles(figure)]
    arguments = subject.model.arguments
    assert [sum(pair) for pair in numbers] == [arguments["rpn_batch_size"], arguments["head_batch_size"]]
    assert all(positive > 0 for positive, _ in numbers)


def test_a_cascade_has_a_minibatch_for_each_stage(subject, small_network, recipe):
    sizes = {name: recipe[name] for name in ("anchor_sizes", "rpn_channels", "head_units")}
    model = untrained("CascadeRCNN", small_network(), **sizes)
    figure = FIGURES["targets"](Subject(model, subject.image, subject.truth))
    names = [title.split(":")[0] for title in titles(figure)]
    assert names == ["anchors", "RoIs of stage 1", "RoIs of stage 2", "RoIs of stage 3"]
    assert FIGURES["rois"](Subject(model, subject.image)).axes


def test_the_recall_counts_reached_objects(subject):
    perfect = dataclasses.replace(subject)
    perfect.__dict__["candidates"] = subject.y["boxes"][0].numpy(), np.ones(len(subject.truth.labels))
    text = FIGURES["proposals"](perfect).legends[0].get_texts()[0].get_text()
    objects = len(subject.truth.labels)
    assert text.startswith(f"{objects} of {objects} objects reached")


def test_objects_that_are_ignored_are_not_missed(subject):
    every = dataclasses.replace(subject.truth, ignore=np.ones(len(subject.truth.labels), bool))
    figure = FIGURES["proposals"](Subject(subject.model, subject.image, every))
    assert "0 of 0 objects reached" in figure.legends[0].get_texts()[0].get_text()


def test_an_rpn_has_no_second_stage(subject, small_network, recipe):
    sizes = {name: recipe[name] for name in ("anchor_sizes", "rpn_channels")}
    truth = dataclasses.replace(subject.truth, labels=np.zeros_like(subject.truth.labels))
    rpn = Subject(untrained("RPN", small_network(), **sizes), subject.image, truth)
    assert len(titles(FIGURES["targets"](rpn))) == 1
    for name in ("rois", "errors"):
        with pytest.raises(ValueError, match="no second stage; show anchors, targets, proposals"):
            FIGURES[name](rpn)


@pytest.mark.parametrize("kind", ["FastRCNN", "SPPNet", "RCNN"])
def test_external_proposals_have_no_anchors(kind, subject):
    warp = {"warp_size": 64, "context": 4} if kind == "RCNN" else {}
    arguments = {**EXTERNAL, **warp}
    if kind == "SPPNet":
        arguments.pop("pool_size")
    model = untrained(kind, "zf", **arguments)
    outside = Subject(model, subject.image, subject.truth)
    outside.x["proposals"] = outside.x["proposals"][:, :12]
    with pytest.raises(ValueError, match=f"{kind} has no anchors of its own"):
        FIGURES["anchors"](outside)
    assert titles(FIGURES["targets"](outside))[0].startswith("RoIs: ")
    assert "12 of 12" in titles(FIGURES["proposals"](outside))[0]
    assert len(titles(FIGURES["rois"](outside, 2))) == 6
    if kind == "RCNN":
        with pytest.raises(ValueError, match="no feature maps of the image"):
            FIGURES["features"](outside)
    else:
        assert len(titles(FIGURES["features"](outside))) == 2


def test_ground_truth_is_asked_for(subject):
    for name in ("targets", "errors"):
        with pytest.raises(ValueError, match="needs ground truth; name a data set with --data"):
            FIGURES[name](Subject(subject.model, subject.image))


def test_each_error_has_its_kind():
    """Four objects of two classes, one of them ignored; a detection for every kind of error."""
    truth = shapes.load("val", 1).records[0]
    boxes = np.float32([[0, 0, 10, 10], [20, 0, 30, 10], [40, 0, 50, 10], [60, 0, 70, 10]])
    truth = dataclasses.replace(
        truth,
        boxes=boxes,
        labels=np.int32([0, 0, 1, 1]),
        ignore=np.array([False, False, False, True]),
        area=np.full(4, 100, np.float32),
    )
    found = {
        "right": ([0, 0, 10, 10], 0),
        "duplicate": ([0, 0, 10, 9], 0),
        "localization": ([20, 0, 24, 10], 0),
        "classification": ([40, 0, 50, 10], 0),
        "both": ([40, 0, 44, 10], 0),
        "ignored": ([60, 0, 70, 10], 1),
        "background": ([80, 0, 90, 10], 1),
    }
    boxes, labels = zip(*found.values())
    scores = np.linspace(0.9, 0.6, len(labels))
    answer = {"boxes": np.float32(boxes), "scores": scores, "labels": np.int32(labels)}
    matches = match([answer], [truth], ("one", "two"))
    names = dict(zip(matches.scores.tolist(), kinds_of(matches, classify(matches))))
    assert [names[score] for score in scores.tolist()] == [*found]
    assert not classify(matches).missed.any()  # the second and third object fail only in place or class
