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
    found, truth, ranks = sorted_set(detections, records)
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


def sorted_set(detections, records):
    """The detections that count and the objects, as `coco_matching` takes them.

    Args:
        detections, records: as in `evaluate`.

    Returns:
        found, truth: dicts of arrays, by class, then by image, detections then best first; equal scores keep
            their order.
        ranks: int `[D]`, places among the detections of the class in the image, below `LIMITS[-1]`.
    """
    found, truth = coco_matching.flat_detections(detections), coco_matching.flat_objects(records)
    found = coco_matching.ordered(found, (-found["scores"], found["images"], found["labels"]))
    truth = coco_matching.ordered(truth, (truth["images"], truth["labels"]))
    ranks = coco_matching.ranks(found["labels"], found["images"])
    counts = ranks < LIMITS[-1]
    return {name: values[counts] for name, values in found.items()}, truth, ranks[counts]


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
        precision[area] = interpolated_precision(hits[:, order], (mine != NEITHER)[:, order], objects[area])
    return precision, recall


def interpolated_precision(hits: np.ndarray, counted: np.ndarray, objects: int) -> np.ndarray:
    """The precision of one class at the recalls 0, 0.01 … 1: the best at that recall or above.

    Args:
        hits: bool `[T, D]`, right detections, best score first.
        counted: bool `[T, D]`, detections that are right or wrong.
        objects: int, number of objects to find, at least 1.

    Returns:
        float64 `[T, 101]` in 0–1, 0 at recalls that are not reached. Its mean is the average precision.

    Example:
        >>> curve = interpolated_precision(np.array([[True, False]]), np.ones([1, 2], bool), 2)
        >>> curve[0, [0, 50, 51]].tolist()
        [1.0, 1.0, 0.0]
    """
    found = np.cumsum(hits, axis=-1)
    best = np.zeros([len(found), found.shape[1] + 1])
    best[:, :-1] = found / np.maximum(np.cumsum(counted, axis=-1), 1)
    best = np.maximum.accumulate(best[:, ::-1], axis=-1)[:, ::-1]
    curves = [row[np.searchsorted(recall, RECALLS)] for row, recall in zip(best, found / objects)]
    return np.stack(curves)


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
