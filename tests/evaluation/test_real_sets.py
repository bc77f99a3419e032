"""Real annotations, with their gaps, crowds and defects, through training and evaluation."""

import contextlib
import io
import json
import warnings

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from keras_frcnn import data, evaluation
from keras_frcnn.evaluation import coco


def tiny_coco(shared, split):
    """`(spec, annotation file)` of a split."""
    file = shared / f"data/tiny_coco/annotations/instances_{split}2017.json"
    return f"coco:{file}@{shared / 'data/tiny_coco'}/{split}2017", file


def load(spec):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the defects of real annotations are counted in tests/data
        return data.load(spec)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["tiny_coco", pytest.param("voc2012_sample", marks=pytest.mark.slow)])
def test_two_steps_and_an_evaluation(shared, make_model, name):
    if name == "tiny_coco":
        train, val = (load(tiny_coco(shared, split)[0]) for split in ("train", "val"))
        categories = json.loads(tiny_coco(shared, "train")[1].read_text())["categories"]
        assert train.class_names == val.class_names == tuple(item["name"] for item in categories)
    else:
        train = val = load(f"voc:{shared / 'data/voc2012_sample'}@val")
    model = make_model(train.class_names)
    model.compile()
    batches = train.batches(2, image_size=model.image_size, training=True).take(2)
    history = model.fit(batches, verbose=0).history
    assert history and all(np.isfinite(values).all() for values in history.values())

    results = evaluation.evaluate(model, val)
    json.dumps(results, allow_nan=False)
    assert results["images"] == len(val) and tuple(results["per_class"]) == val.class_names
    objects = sum(int((~record.ignore).sum()) for record in val.records)
    assert sum(row["ground_truths"] for row in results["per_class"].values()) == objects > 0
    for key in ("voc07_ap50", "voc_ap50", *(f"coco_{name}" for name in coco.NAMES)):
        assert 0.0 <= results[key] <= 1.0


def perturbed(dataset, seed):
    """Detections made of the truth: jittered, some twice, some dropped, some of another class, and strays."""
    rng = np.random.default_rng(seed)
    detections = []
    for record in dataset.records:
        sides = np.tile(record.boxes[:, 2:] - record.boxes[:, :2], 2)
        jittered = [record.boxes + rng.normal(0, spread, sides.shape) * sides for spread in (0.02, 0.1)]
        corners = rng.uniform(0, [record.width, record.height], [3, 2])
        strays = np.concatenate([corners, corners + rng.uniform(5, 150, [3, 2])], -1)
        boxes = np.concatenate([*jittered, strays])
        labels = np.concatenate([record.labels] * 2 + [rng.integers(0, len(dataset.class_names), 3)])
        other = rng.random(len(labels)) < 0.1
        labels = np.where(other, rng.choice(np.append(record.labels, 0), len(labels)), labels)
        keep = (rng.random(len(labels)) < 0.7) & (boxes[:, 2:] > boxes[:, :2]).all(-1)
        detections.append({"boxes": boxes[keep], "scores": rng.random(keep.sum()), "labels": labels[keep]})
    return detections


@pytest.mark.parametrize("seed", range(3))
def test_scores_equal_those_of_pycocotools_on_the_file_itself(shared, seed):
    spec, file = tiny_coco(shared, "val")
    dataset = load(spec)
    assert sum(int(record.ignore.sum()) for record in dataset.records) == 5
    detections = perturbed(dataset, seed)
    ids = [dataset.category_ids[name] for name in dataset.class_names]
    results = [
        {
            "image_id": record.image_id,
            "category_id": ids[label],
            "bbox": [*map(float, box[:2]), *map(float, box[2:] - box[:2])],
            "score": float(score),
        }
        for record, found in zip(dataset.records, detections)
        for box, score, label in zip(found["boxes"], found["scores"], found["labels"])
    ]
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(str(file))
        evaluator = COCOeval(truth, truth.loadRes(results), "bbox")
        evaluator.evaluate()
        evaluator.accumulate()
        evaluator.summarize()
    scores = coco.evaluate(detections, dataset.records, dataset.class_names)
    np.testing.assert_allclose([scores[name] for name in coco.NAMES], evaluator.stats, rtol=0, atol=1e-9)
    assert 0.2 < scores["ap"] < 0.9
