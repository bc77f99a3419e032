"""Time COCO's evaluation of 5,000 images on one core, beside pycocotools.

    python benchmarks/evaluation.py [--images N] [--rounds N] [--json FILE]

Images have about seven random objects of 80 classes and 100 detections: the objects, moved a little, and
random boxes. Both sides begin with the same arrays and end with COCO's twelve numbers, which must be equal.
"""

import argparse
import contextlib
import io
import os
import sys
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
if __name__ == "__main__" and hasattr(os, "sched_setaffinity"):
    # Do this before any library counts the cores.
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})

import numpy as np
from measures.report import Report, summary

from keras_frcnn.data.records import Record
from keras_frcnn.evaluation import coco

CLASSES, OBJECTS, DETECTIONS = 80, 7, 100
HEIGHT, WIDTH = 480, 640


def main(arguments=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, default=5000, help="number of images")
    parser.add_argument("--rounds", type=int, default=3, help="turns of each side")
    parser.add_argument("--json", type=Path, help="file that gets the figures")
    options = parser.parse_args(arguments)
    report = Report(f"COCO's evaluation of {options.images} images", {"rounds": options.rounds})
    records, detections = made_up(options.images)
    sides = {
        "keras_frcnn": lambda: ours(records, detections),
        "pycocotools": lambda: peer(records, detections),
    }
    try:
        import pycocotools  # noqa: F401
    except ImportError:
        del sides["pycocotools"]
        print("without pycocotools: it is not installed")
    taken, numbers = {name: [] for name in sides}, {}
    for _ in range(options.rounds):
        for name, evaluate in sides.items():
            started = time.perf_counter()
            numbers[name] = evaluate()
            taken[name].append(time.perf_counter() - started)
    first, *others = numbers.values()
    for other in others:
        if not np.allclose(first, other, rtol=0, atol=1e-12):
            sys.exit(f"The numbers are not equal: {first} and {other}.")
    times = {name: summary(seconds) for name, seconds in taken.items()}
    table = [
        {"side": name, "s": time["median"], "fastest": time["lowest"], "slowest": time["highest"]}
        for name, time in times.items()
    ]
    report.table("seconds", table, ".2f", ".2f", ".2f")
    report.say("ap", first[0], f"AP {first[0]:.4f}; all twelve numbers equal on {len(numbers)} sides")
    if others:
        ratio = times["keras_frcnn"]["median"] / times["pycocotools"]["median"]
        report.say("ratio", ratio, f"keras_frcnn takes {ratio:.3f} of pycocotools")
    report.write(options.json)


def ours(records, detections):
    """The twelve numbers by this package."""
    found = coco.evaluate(detections, records, [f"class {index}" for index in range(CLASSES)])
    # pycocotools gives −1 where there is nothing to find.
    return [-1.0 if np.isnan(found[name]) else found[name] for name in coco.NAMES]


def peer(records, detections):
    """The twelve numbers by pycocotools."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    annotations = [
        {
            "image_id": record.image_id,
            "category_id": int(label),
            "bbox": box,
            "area": float(area),
            "iscrowd": 0,
        }
        for record in records
        for box, label, area in zip(xywh(record.boxes), record.labels, record.area)
    ]
    results = [
        {"image_id": record.image_id, "category_id": int(label), "bbox": box, "score": float(score)}
        for record, found in zip(records, detections)
        for box, label, score in zip(xywh(found["boxes"]), found["labels"], found["scores"])
    ]
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = {
            "images": [{"id": record.image_id, "height": HEIGHT, "width": WIDTH} for record in records],
            "annotations": [{**one, "id": number} for number, one in enumerate(annotations, 1)],
            "categories": [{"id": label, "name": str(label)} for label in range(CLASSES)],
            "info": {},
        }
        truth.createIndex()
        evaluator = COCOeval(truth, truth.loadRes(results), "bbox")
        evaluator.evaluate()
        evaluator.accumulate()
        evaluator.summarize()
    return list(evaluator.stats)


def xywh(boxes):
    boxes = np.asarray(boxes, np.float64)
    return np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=-1).tolist()


def made_up(count):
    """Make records and detections of `count` images; see the top of the file."""
    random = np.random.default_rng(0)
    records, detections = [], []
    for number in range(1, count + 1):
        boxes = some_boxes(random, max(1, random.poisson(OBJECTS)))
        labels = random.integers(CLASSES, size=len(boxes), dtype=np.int32)
        area = (boxes[:, 2:] - boxes[:, :2]).prod(axis=-1)
        records.append(Record(number, "", HEIGHT, WIDTH, boxes, labels, np.zeros(len(boxes), bool), area))
        moved = boxes * random.normal(1, 0.05, boxes.shape)
        moved = np.concatenate([np.minimum(moved[:, :2], moved[:, 2:] - 1), moved[:, 2:]], axis=-1)
        others = DETECTIONS - len(boxes)
        detections.append(
            {
                "boxes": np.concatenate([moved, some_boxes(random, others)]).astype(np.float32),
                "labels": np.concatenate([labels, random.integers(CLASSES, size=others, dtype=np.int32)]),
                "scores": np.sort(random.uniform(0.05, 1, DETECTIONS).astype(np.float32))[::-1],
            }
        )
    return records, detections


def some_boxes(random, count):
    """Random boxes float32 `[count, 4]` with sides between 10 and 300 pixels."""
    size = np.exp(random.uniform(np.log(10), np.log(300), [count, 2]))
    corner = random.uniform(size=[count, 2]) * (np.array([WIDTH, HEIGHT]) - size)
    return np.concatenate([corner, corner + size], axis=-1).astype(np.float32)


if __name__ == "__main__":
    main()
