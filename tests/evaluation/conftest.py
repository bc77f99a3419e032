"""Small annotated sets without pixels."""

import numpy as np
import pytest

from keras_frcnn.data import Record


@pytest.fixture
def make_record():
    def make(boxes=(), labels=None, ignore=None, area=None, image_id="image"):
        boxes = np.array(boxes, np.float32).reshape(-1, 4)
        count = len(boxes)
        sides = boxes[:, 2:] - boxes[:, :2]
        return Record(
            image_id=image_id,
            file=f"{image_id}.jpg",
            height=200,
            width=300,
            boxes=boxes,
            labels=np.array(np.zeros(count) if labels is None else labels, np.int32),
            ignore=np.array(np.zeros(count) if ignore is None else ignore, bool),
            area=np.array(sides.prod(-1) if area is None else area, np.float32),
        )

    return make


@pytest.fixture
def make_found():
    def make(boxes=(), scores=(), labels=None):
        boxes = np.array(boxes, np.float32).reshape(-1, 4)
        labels = np.zeros(len(boxes)) if labels is None else labels
        return {"boxes": boxes, "scores": np.array(scores, np.float32), "labels": np.array(labels, np.int32)}

    return make


@pytest.fixture
def random_set(make_record, make_found):
    """Near misses, duplicates, strays, ignored objects, empty images, a last class without objects."""

    def make(seed, images=20, classes=4):
        rng = np.random.default_rng(seed)

        def boxes(count):
            corner, size = rng.uniform(0, 180, (count, 2)), rng.choice([20, 60, 110], (count, 1))
            return np.concatenate([corner, corner + size * rng.uniform(0.7, 1.3, (count, 2))], -1)

        detections, records = [], []
        for number in range(images):
            count = rng.integers(0, 7)
            truth, labels = boxes(count), rng.integers(0, classes - 1, count)
            area = (truth[:, 2:] - truth[:, :2]).prod(-1) * rng.uniform(0.4, 1, count)
            records.append(make_record(truth, labels, rng.random(count) < 0.2, area, number * 7))
            near = np.repeat(truth, 2, axis=0)
            near += rng.normal(0, 0.08, near.shape) * (near[:, [2, 3, 2, 3]] - near[:, [0, 1, 0, 1]])
            strays = rng.integers(0, 5)
            found = np.concatenate([near, boxes(strays)])
            found_labels = np.concatenate([np.repeat(labels, 2), rng.integers(0, classes, strays)])
            keep = rng.random(len(found)) < 0.8
            detections.append(make_found(found[keep], rng.random(keep.sum()), found_labels[keep]))
        return detections, records, tuple(f"class {label}" for label in range(classes))

    return make


@pytest.fixture
def perfect_set(make_record, make_found):
    """Records with ignored objects, an empty image and an absent class; detections equal to all objects."""
    records = [
        make_record([[0, 0, 10, 10], [50, 50, 150, 180]], [0, 1]),
        make_record(),
        make_record([[5.5, 3.25, 90, 60], [100, 100, 110, 140]], [1, 0], ignore=[False, True]),
        make_record(
            [[20, 20, 60, 60], [20, 20, 61, 60], [200, 10, 230, 40]], [1, 1, 0], ignore=[True, False, False]
        ),
    ]
    rng = np.random.default_rng(0)
    detections = [
        make_found(record.boxes, rng.random(len(record.labels)), record.labels) for record in records
    ]
    return detections, records, ("circle", "square", "star")
