"""A made-up set with pixels, and the report about it."""

import numpy as np
import pytest

from keras_frcnn import evaluation
from keras_frcnn.data import Record
from keras_frcnn.evaluation.detecting import Found
from keras_frcnn.report import write_report


class Pictures:
    """A data set whose pictures are noise."""

    name = "made-up"
    proposals = None

    def __init__(self, records, class_names):
        self.records, self.class_names = records, class_names

    def image(self, number):
        record = self.records[number]
        return np.random.default_rng(number).integers(0, 256, [record.height, record.width, 3], np.uint8)


@pytest.fixture(scope="session")
def made_up():
    """A function that makes records and detections: near ones, duplicates, other classes, strays, crowds."""

    def make(class_names, images=12, seed=0):
        rng = np.random.default_rng(seed)
        records, detections = [], []
        for number in range(images):
            count = int(rng.integers(0, 5))
            corners = rng.uniform(0, 120, (count, 2))
            boxes = np.concatenate([corners, corners + rng.uniform(20, 80, (count, 2))], -1).astype(
                np.float32
            )
            labels = rng.integers(0, len(class_names), count).astype(np.int32)
            area, ignore = (boxes[:, 2:] - boxes[:, :2]).prod(-1), rng.random(count) < 0.1
            name = f"<img src=x onerror=alert({number})>&'\".jpg"
            records.append(Record(f"<b>{number}</b>", name, 200, 220, boxes, labels, ignore, area))
            near = np.repeat(boxes, 3, axis=0) + rng.normal(0, 6, (3 * count, 4))
            strays = rng.uniform(0, 100, (2, 4)) + [0, 0, 110, 110]
            found = np.concatenate([near, strays]).astype(np.float32)
            classes = np.append(np.repeat(labels, 3), rng.integers(0, len(class_names), 2))
            switched = rng.random(len(classes)) < 0.2
            classes = np.where(switched, rng.integers(0, len(class_names), len(classes)), classes)
            scores = rng.random(len(classes)).astype(np.float32)
            detections.append({"boxes": found, "scores": scores, "labels": classes})
        return records, detections

    return make


@pytest.fixture(scope="session")
def reported():
    """A function that writes a report and returns its dict."""

    def write(folder, records, detections, class_names, **arguments):
        found, dataset = Found(detections, [0.25, 0.5, 0.125]), Pictures(records, class_names)
        results = evaluation.score_found(found, dataset)
        return write_report(folder, results, found, dataset, "<i>a model</i> on a set", **arguments)

    return write
