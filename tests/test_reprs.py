"""What Python prints about an object says what a user wants to know about it."""

import dataclasses

import numpy as np
import pytest

import keras_frcnn as kf
from keras_frcnn.training.recipe import Recipe


@pytest.fixture(scope="module")
def model():
    return kf.FasterRCNN(["cell"], "tiny_fpn", image_size=(96, 128))


def test_parts_of_a_model(model):
    assert repr(model.backbone_info) == (
        "<Backbone tiny_fpn: 64 channels at stride 8, 16, 32, 64, 128, weights: none>"
    )
    assert repr(model.rpn.anchors).startswith("<AnchorGenerator: sides 16/24 at stride 8, 32/48 at stride 16")
    assert repr(model.rpn.anchors).endswith("; height / width 0.5, 1, 2>")
    assert repr(model.proposals) == (
        "<ProposalStage: 300 proposals in training, 150 at test; learns from 256 anchors, positive from IoU "
        "0.7, negative below 0.3>"
    )
    assert repr(model.regions) == (
        "<RegionStage: head learns by CrossEntropy and SmoothL1 from 64 RoIs, foreground from IoU 0.5, "
        "background 0–0.5>"
    )


def test_data():
    dataset = kf.data.load("shapes@val")
    record = dataset.records[0]
    assert repr(dataset) == "<shapes@val: 200 images, 6 classes>"
    assert repr(record) == "<Record 1000000: 256 × 320 pixels, 7 objects>"
    ignore = np.arange(len(record.labels)) < 2
    assert "7 objects (2 ignored)" in repr(dataclasses.replace(record, ignore=ignore))


def test_a_recipe_shows_what_was_changed():
    assert repr(Recipe()) == "Recipe()"
    assert repr(Recipe(epochs=3, detector={"nms_iou": 0.4})) == "Recipe(epochs=3, detector={'nms_iou': 0.4})"


def test_summary_shows_the_parts_in_order(model):
    lines = []
    model.summary(print_fn=lambda text, **_: lines.extend(text.splitlines()))
    parts = [line.split()[1] for line in lines if line.startswith("│") and "(" in line.split("│")[1]]
    assert parts == ["pixels", "tiny_fpn", "rpn", "roi_pooling", "head"]
    assert "?" not in "".join(lines)  # every part has a shape
