"""Small cases for the checks."""

import dataclasses

import numpy as np
import pytest

import keras_frcnn as kf
from keras_frcnn.data.readers import shapes
from keras_frcnn.doctor import Case
from keras_frcnn.training.recipe import Recipe

RECIPE = Recipe(backbone="tiny_fpn", backbone_weights="none", image_size=(128, 160), batch_size=2)


@pytest.fixture(scope="session")
def case(tmp_path_factory):
    """A function that makes a healthy case of drawn scenes; arguments replace its parts."""
    train, val = shapes.load("train", 30), shapes.load("val", 15)

    def make(**parts):
        given = {"train": train, "val": val, "recipe": RECIPE}
        return Case(**{"output": tmp_path_factory.mktemp("doctor"), **given, **parts})

    return make


@pytest.fixture(scope="session")
def changed():
    """A function from a data set and a function of its records to a set of the changed records."""

    def make(dataset, change, name=None, class_names=None):
        records = [dataclasses.replace(record, **change(record)) for record in dataset.records]
        names = class_names or dataset.class_names
        return kf.data.DetectionDataset(name or dataset.name, names, records, dataset.source)

    return make


class Seer:
    """A detector that knows the objects of a set, by the mean of its pictures.

    Args:
        dataset: the set.
        score: function from an image to the score of its detections.
        labels: function from labels to those that it sees.
    """

    needs_proposals = only_proposals = has_one_size = False

    def __init__(self, dataset, score=lambda image: 0.9, labels=lambda labels: labels):
        self.class_names = dataset.class_names
        self.known = {dataset.image(index).sum(): record for index, record in enumerate(dataset.records)}
        self.score, self.labels = score, labels

    def detect(self, image, proposals=None, *, image_size=None):
        record = self.known[image.sum()]
        count = len(record.labels)
        return {
            "boxes": record.boxes,
            "scores": np.full(count, self.score(image), np.float32),
            "labels": self.labels(record.labels),
        }


@pytest.fixture(scope="session")
def seer():
    """The class `Seer`."""
    return Seer
