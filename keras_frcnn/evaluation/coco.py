"""The twelve COCO metrics, as pycocotools computes them, for a whole set at once.

Letters: N detections and M objects of an image, D detections of a class, K classes, A area ranges, T IoU
thresholds, R recall thresholds.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from keras_frcnn.data import Record
from keras_frcnn.evaluation import coco_matching
from keras_frcnn.evaluation.coco_matching import HIT, NEITHER
from keras_frcnn.evaluation.voc import check_paired

NAMES = (
    *("ap", "ap50", "ap75", "ap_small", "ap_medium", "ap_large"),
    *("ar1", "ar10", "ar100", "ar_small", "ar_medium", "ar_large"),
)
RECALLS = np.linspace(0.0, 1.0, 101)
# Numbers of detections of a class in an image that count, best first.
LIMITS = 1, 10, 100


def evaluate(
    detections: Sequence[Mapping[str, np.ndarray]], records: Sequence[Record], class_names: Sequence[str]
) -> dict[str, Any]:
    """Average precision and recall as COCO defines them (cocodataset.org, "Detection evaluation").

    `ignore` objects are crowd regions: any number of detections inside one count neither way, and the
    overlap is measured as a share of the detection. The best 100 detections of each class in an image count.

    Args:
        detections: list of dicts "boxes" `[N, 4]` xyxy pixels, "scores" `[N]`, "labels" `[N]`, one per image.
        records: list of `keras_frcnn.data.Record`, the images in the same order.
        class_names: K names that the labels index.

    Returns:
        dict of floats in 0–1, NaN if no object counts: "ap" (mean over the IoU thresholds 0.50, 0.55 …
        0.95), "ap50", "ap75", "ap_small", "ap_medium", "ap_large" (objects below 32², up to 96², above, in
        square pixels), "ar1", "ar10", "ar100" (recall with that many detections of a class in an image),
        "ar_small", "ar_medium", "ar_large"; and "per_class", dict from name to a dict of "ap", "ap50" and
        "ap75".

    Raises:
        ValueError: the numbers of detections and records differ.

    Example:
        >>> dataset = keras_frcnn.data.load("shapes@val")
        >>> found = [{"boxes": record.boxes, "scores": np.ones(len(record.boxes)), "labels": record.labels}
        ...          for record in dataset.records]
        >>> evaluate(found, dataset.records, dataset.class_names)["ap"]
        1.0
    """
    check_paired(detections, records)
    found, truth = _flat_detections(detections), _flat_objects(records)
    # Best first; equal scores keep their order.
    found = _sorted(found, (-found["scores"], found["images"], found["labels"]))
    truth = _sorted(truth, (truth["images"], truth["labels"]))
    ranks = coco_matching.ranks(found["labels"], found["images"])
    found = {name: values[ranks < LIMITS[-1]] for name, values in found.items()}
    ranks = ranks[ranks < LIMITS[-1]]
    verdicts = coco_matching.match(found, truth, ranks)
    counting = coco_matching.counting(truth)
    curves = []
    for label in range(len(class_names)):
        mine = slice(*np.searchsorted(found["labels"], [label, label + 1]))
        objects = counting[truth["labels"] == label].sum(0)
        curves.append(_class_curves(verdicts[mine], found["scores"][mine], ranks[mine], objects))
    precision, recall = (np.stack(part) for part in zip(*curves))
    per_class = {
        name: {"ap": _mean(curves), "ap50": _mean(curves[0]), "ap75": _mean(curves[5])}
        for name, curves in zip(class_names, precision[:, 0])
    }
    return {**_numbers(precision, recall), "per_class": per_class}


def _flat_detections(detections):
    counts = [len(found["scores"]) for found in detections]
    return {
        "images": np.repeat(np.arange(len(counts)), counts),
        "labels": _joined([found["labels"] for found in detections], np.int64),
        "scores": _joined([found["scores"] for found in detections], np.float64),
        "boxes": _joined([found["boxes"] for found in detections], np.float64, 4),
    }


def _flat_objects(records):
    counts = [len(record.labels) for record in records]
    return {
        "images": np.repeat(np.arange(len(counts)), counts),
        "labels": _joined([record.labels for record in records], np.int64),
        "boxes": _joined([record.boxes for record in records], np.float64, 4),
        "area": _joined([record.area for record in records], np.float64),
        "crowd": _joined([record.ignore for record in records], bool),
    }


def _joined(parts, dtype, *row):
    return np.concatenate([np.zeros([0, *row], dtype), *(np.reshape(part, [-1, *row]) for part in parts)])


def _sorted(part, keys):
    order = np.lexsort(keys)
    return {name: values[order] for name, values in part.items()}


def _class_curves(verdicts, scores, ranks, objects):
    """Compute precision and recall of one class.

    Args:
        verdicts: int8 `[D, A, T]` from `coco_matching.match`.
        scores: float64 `[D]`.
        ranks: int `[D]`, places among the detections of the class in the image.
        objects: int `[A]`, numbers of objects to find.

    Returns:
        precision: float64 `[A, T, R]`, the best precision at each recall or above.
        recall: float64 `[A, T, 3]`, one for each of `LIMITS`. Both are NaN in area ranges without objects.
    """
    precision = np.full([*verdicts.shape[1:], len(RECALLS)], np.nan)
    recall = np.full([*verdicts.shape[1:], len(LIMITS)], np.nan)
    order = np.argsort(-scores, kind="stable")
    for area in np.flatnonzero(objects):
        mine = np.ascontiguousarray(verdicts[:, area].T)
        hits = mine == HIT
        for place, limit in enumerate(LIMITS):
            recall[area, :, place] = hits[:, ranks < limit].sum(-1) / objects[area]
        found = np.cumsum(hits[:, order], axis=-1)
        counted = np.cumsum((mine != NEITHER)[:, order], axis=-1)
        best = np.zeros([len(found), len(order) + 1])
        best[:, :-1] = found / np.maximum(counted, 1)
        best = np.maximum.accumulate(best[:, ::-1], axis=-1)[:, ::-1]
        for row, curve in enumerate(found / objects[area]):
            precision[area, row] = best[row, np.searchsorted(curve, RECALLS)]
    return precision, recall


def _numbers(precision, recall):
    """The twelve metrics from precision `[K, A, T, R]` and recall `[K, A, T, 3]`."""
    numbers = (
        *(precision[:, 0], precision[:, 0, 0], precision[:, 0, 5]),
        *(precision[:, area] for area in (1, 2, 3)),
        *(recall[:, 0, :, place] for place in (0, 1, 2)),
        *(recall[:, area, :, 2] for area in (1, 2, 3)),
    )
    return {name: _mean(values) for name, values in zip(NAMES, numbers)}


def _mean(values):
    present = values[~np.isnan(values)]
    return float(present.mean()) if present.size else float("nan")
