"""Scores of a detector on a data set under every protocol, and a table of them.

Letters: N detections of an image, K classes.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from keras_frcnn.data import DetectionDataset, Record
from keras_frcnn.data.records import counted
from keras_frcnn.detects import Detects
from keras_frcnn.evaluation import coco, proposal_recall, voc
from keras_frcnn.evaluation.detecting import Found, detect_set

PROTOCOLS = {
    "voc07_ap50": "PASCAL VOC 2007: 11-point AP, mean over classes; match at IoU > 0.5, difficult left out",
    "voc_ap50": "PASCAL VOC 2010-12: area under the interpolated curve, mean over classes; matched likewise",
    "coco_ap": "COCO: 101-point AP, mean over classes and IoU 0.50, 0.55 ... 0.95; crowds ignored",
    "coco_ap50": "COCO AP at IoU 0.50",
    "coco_ap75": "COCO AP at IoU 0.75",
    "coco_ap_small": "COCO AP of objects below 32 x 32 pixels",
    "coco_ap_medium": "COCO AP of objects between 32 x 32 and 96 x 96 pixels",
    "coco_ap_large": "COCO AP of objects above 96 x 96 pixels",
    "coco_ar1": "COCO recall, mean over IoU 0.50 ... 0.95, one detection per class and image",
    "coco_ar10": "COCO recall with 10 detections per class and image",
    "coco_ar100": "COCO recall with 100 detections per class and image",
    "coco_ar_small": "COCO recall of objects below 32 x 32 pixels, 100 detections",
    "coco_ar_medium": "COCO recall of objects between 32 x 32 and 96 x 96 pixels, 100 detections",
    "coco_ar_large": "COCO recall of objects above 96 x 96 pixels, 100 detections",
    "seconds_per_image": "median time of detect on an image in memory: with resizing, and with selective "
    "search if a method needs proposals and has none; without decoding",
}
PER_CLASS = ("voc07_ap50", "voc_ap50", "coco_ap", "coco_ap50", "coco_ap75")


def evaluate(
    detector: Detects,
    dataset: DetectionDataset,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> dict:
    """Run a detector over a data set and score it by the rules of VOC and COCO.

    Classes are matched by name; detections of classes that the set does not have are left out.

    Args:
        detector: a model, an export or another `detects.Detects`. A detector that `needs_proposals` gets the
            proposals of the set, if it has any. An `RPN` is scored by recall.
        dataset: `DetectionDataset`, from `keras_frcnn.data.load`.
        progress: function called after each image with the number of images done and the total.

    Returns:
        JSON-serializable dict. Scores are fractions in 0–1, None if no object counts:
        "voc07_ap50", "voc_ap50", "coco_ap", "coco_ap50", "coco_ap75", "coco_ap_small", "coco_ap_medium",
        "coco_ap_large", "coco_ar1", "coco_ar10", "coco_ar100", "coco_ar_small", "coco_ar_medium",
        "coco_ar_large". "per_class": dict from class name to a dict of the first five and "ground_truths",
        the number of its objects that count. "images": their number. "seconds_per_image": the median.
        "protocol": dict from the name of a number to the rule behind it. For an `RPN`: the result of
        `proposal_recall.recall_curve` and "seconds_per_image".

    Raises:
        ValueError: the set has no images, or has objects of a class that the detector does not know.

    Example:
        >>> results = evaluate(model, keras_frcnn.data.load("shapes@val"))
        >>> print(report(results))
    """
    found = detect_set(detector, dataset, progress)
    if getattr(detector, "only_proposals", False):
        boxes = [proposals["boxes"] for proposals in found.detections]
        curve = proposal_recall.recall_curve(boxes, dataset.records)
        return {**curve, "seconds_per_image": float(np.median(found.steady_seconds))}
    return score_found(found, dataset)


def score_found(found: Found, dataset: DetectionDataset) -> dict[str, Any]:
    """Score what a detector found in a data set.

    Args:
        found: `Found`, from `detect_set`.
        dataset: the set.

    Returns:
        JSON-serializable dict, see `evaluate`.
    """
    results = score(found.detections, dataset.records, dataset.class_names)
    return {**results, "seconds_per_image": float(np.median(found.steady_seconds))}


def score(
    detections: Sequence[Mapping[str, np.ndarray]], records: Sequence[Record], class_names: Sequence[str]
) -> dict[str, Any]:
    """Score given detections by the rules of VOC and COCO.

    Args:
        detections: list of dicts "boxes" `[N, 4]` xyxy pixels, "scores" `[N]`, "labels" `[N]`, one per image.
        records: list of `keras_frcnn.data.Record`, the images in the same order.
        class_names: K names that the labels index.

    Returns:
        JSON-serializable dict, as from `evaluate` but without "seconds_per_image".

    Raises:
        ValueError: the numbers of detections and records differ.

    Example:
        >>> dataset = keras_frcnn.data.load("shapes@val")
        >>> found = [{"boxes": record.boxes, "scores": np.ones(len(record.boxes)), "labels": record.labels}
        ...          for record in dataset.records]
        >>> results = score(found, dataset.records, dataset.class_names)
        >>> results["voc_ap50"], results["coco_ap"], results["images"]
        (1.0, 1.0, 200)
    """
    voc07 = voc.evaluate(detections, records, class_names, metric="11point")
    area = voc.evaluate(detections, records, class_names, metric="area")
    by_coco = coco.evaluate(detections, records, class_names)
    results: dict[str, Any] = {"voc07_ap50": _number(voc07["mean_ap"]), "voc_ap50": _number(area["mean_ap"])}
    results.update({f"coco_{name}": _number(by_coco[name]) for name in coco.NAMES})
    results["per_class"] = {
        name: {
            "ground_truths": area["ground_truths"][name],
            "voc07_ap50": _number(voc07["per_class"][name]),
            "voc_ap50": _number(area["per_class"][name]),
            **{f"coco_{key}": _number(value) for key, value in by_coco["per_class"][name].items()},
        }
        for name in class_names
    }
    return {**results, "images": len(records), "protocol": dict(PROTOCOLS)}


def report(results: dict) -> str:
    """Format the result of `evaluate`: a table of the classes, then every number with its protocol.

    Args:
        results: dict from `evaluate`.

    Returns:
        str of several lines; scores in percent, a dash if no object counts.
    """
    if "recall" in results:
        return proposal_recall.report(results)
    per_class = results["per_class"]
    width = max(len(name) for name in (*per_class, "class", "mean"))
    total = sum(row["ground_truths"] for row in per_class.values())
    rows = [(name, row["ground_truths"], row) for name, row in per_class.items()] + [("mean", total, results)]
    lines = [f"{'class':{width}}  objects" + "".join(f"{name:>12}" for name in PER_CLASS)]
    for name, objects, numbers in rows:
        lines.append(
            f"{name:{width}}{objects:9d}" + "".join(f"{_percent(numbers[key]):>12}" for key in PER_CLASS)
        )
    lines += ["", f"{counted(results['images'], 'image')}; scores in percent:"]
    for key, protocol in results["protocol"].items():
        if key in results:
            text = f"{results[key]:.3g} s" if key == "seconds_per_image" else _percent(results[key])
            lines.append(f"{key:18}{text:>8}  {protocol}")
    return "\n".join(lines)


def _number(value):
    # Strict JSON has no NaN.
    return None if math.isnan(value) else float(value)


def _percent(value):
    return "-" if value is None else f"{100 * value:.2f}"
