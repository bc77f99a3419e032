"""Average precision by the rules of PASCAL VOC.

Boxes are half-open float pixels, so a width is x2 − x1; the development kit uses inclusive integer corners
and adds 1. Letters: N detections and M objects of an image, P detections of a class, K classes.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from keras_frcnn.data import Record

METRICS = ("area", "11point")


def evaluate(
    detections: Sequence[Mapping[str, np.ndarray]],
    records: Sequence[Record],
    class_names: Sequence[str],
    iou: float = 0.5,
    metric: Literal["area", "11point"] = "area",
) -> dict[str, Any]:
    """Mean average precision of the detections of a whole set.

    In order of decreasing score, each detection claims the object of its class that it overlaps most. A claim
    is right if the IoU is above (not at) the threshold and the object is still unclaimed. A second claim is
    wrong; a claim on an `ignore` object (VOC's difficult) counts neither way. The VOC 2007 development kit
    does the same (section 4.4).

    Args:
        detections: list of dicts "boxes" `[N, 4]` xyxy pixels, "scores" `[N]`, "labels" `[N]`, one per image.
        records: list of `keras_frcnn.data.Record`, the images in the same order.
        class_names: K names that the labels index.
        iou: threshold in 0–1.
        metric: "area", under the interpolated curve (VOC 2010 and later), or "11point" (VOC 2007).

    Returns:
        dict: "per_class", dict from name to AP in 0–1, NaN for classes without objects that count;
        "mean_ap", the mean over the other classes, NaN if there are none; "ground_truths", dict from
        name to the number of objects that count.

    Raises:
        ValueError: the numbers of detections and records differ, or the metric is unknown.

    Example:
        >>> dataset = keras_frcnn.data.load("shapes@val")
        >>> found = [{"boxes": record.boxes, "scores": np.ones(len(record.boxes)), "labels": record.labels}
        ...          for record in dataset.records]
        >>> evaluate(found, dataset.records, dataset.class_names)["mean_ap"]
        1.0
    """
    check_paired(detections, records)
    candidates = _candidates(detections, records, iou)
    labels = _joined([record.labels[~record.ignore] for record in records], np.int64)
    counts = np.bincount(labels, minlength=len(class_names))
    present = {}
    for label in np.flatnonzero(counts).tolist():
        mine = candidates["labels"] == label
        hits = true_positives(*(candidates[key][mine] for key in ("scores", "objects", "ignored")))
        present[class_names[label]] = average_precision(*precision_recall(hits, counts[label]), metric)
    return {
        "mean_ap": float(np.mean(list(present.values()))) if present else float("nan"),
        "per_class": {name: present.get(name, float("nan")) for name in class_names},
        "ground_truths": {name: int(counts[label]) for label, name in enumerate(class_names)},
    }


def true_positives(scores: np.ndarray, objects: np.ndarray, ignored: np.ndarray) -> np.ndarray:
    """Judge the detections of one class.

    Args:
        scores: float `[P]`.
        objects: int `[P]`, index of the claimed object, −1 for no object.
        ignored: bool `[P]`, whether that object counts neither way.

    Returns:
        bool, one for each detection that counts, best score first; equal scores keep their order.

    Example:
        >>> true_positives(np.array([0.5, 0.9, 0.7]), np.array([0, 0, -1]), np.zeros(3, bool)).tolist()
        [True, False, False]
    """
    order = np.argsort(-scores, kind="stable")
    objects = objects[order][~ignored[order]]
    _, first = np.unique(objects, return_index=True)
    hits = np.zeros(len(objects), bool)
    hits[first] = True
    return hits & (objects >= 0)


def precision_recall(hits: np.ndarray, ground_truths: int) -> tuple[np.ndarray, np.ndarray]:
    """Precision and recall after each detection.

    Args:
        hits: bool `[P]`, best score first.
        ground_truths: int, number of objects to find, at least 1.

    Returns:
        precision, recall: float64 `[P]` in 0–1.

    Example:
        >>> precision, recall = precision_recall(np.array([True, False]), 2)
        >>> precision.tolist(), recall.tolist()
        ([1.0, 0.5], [0.5, 0.5])
    """
    found = np.cumsum(hits)
    return found / np.arange(1, len(hits) + 1), found / ground_truths


def average_precision(
    precision: ArrayLike, recall: ArrayLike, metric: Literal["area", "11point"] = "area"
) -> float:
    """Average precision of one curve.

    Args:
        precision, recall: float `[P]` in 0–1, recall never falling.
        metric: "area": the area under the curve after each precision is raised to the best at that recall or
            above; "11point": the mean of these raised precisions at the recalls 0, 0.1 … 1.

    Returns:
        float in 0–1.

    Raises:
        ValueError: the metric is unknown.

    Example:
        >>> average_precision([1, 0.5, 2 / 3], [0.5, 0.5, 1])  # 0.5 · 1 + 0.5 · 2/3
        0.8333333333333333
    """
    if metric not in METRICS:
        raise ValueError(f"There is no VOC metric {metric!r}; choose one of {', '.join(METRICS)}.")
    precision, recall = np.asarray(precision, np.float64), np.asarray(recall, np.float64)
    best = np.append(np.maximum.accumulate(precision[::-1])[::-1], 0.0)
    if metric == "area":
        # Sum by parts over the steps of the recall, so that a complete curve gives exactly 1; a sum of recall
        # differences would not.
        steps = np.diff(recall, prepend=0.0) > 0
        return float(np.sum(recall[steps] * -np.diff(best[:-1][steps], append=0.0)))
    # k / 10 rounds like found / ground_truths; sums of 0.1 do not, and would miss a recall of exactly 0.3.
    return float(np.mean(best[np.searchsorted(recall, np.arange(11) / 10)]))


def pairwise_iou(boxes: ArrayLike, others: ArrayLike) -> np.ndarray:
    """IoU of each box with each of the others, in NumPy.

    Args:
        boxes: `[N, 4]` xyxy, pixels.
        others: `[M, 4]` xyxy, pixels.

    Returns:
        float64 `[N, M]` in 0–1; 0 between boxes without area.

    Example:
        >>> pairwise_iou([[0, 0, 2, 2]], [[1, 0, 3, 2], [0, 0, 2, 2]]).tolist()  # 2 / 6 and 1
        [[0.3333333333333333, 1.0]]
    """
    boxes, others = np.asarray(boxes, np.float64)[:, None], np.asarray(others, np.float64)[None]
    sides = np.minimum(boxes[..., 2:], others[..., 2:]) - np.maximum(boxes[..., :2], others[..., :2])
    shared = np.maximum(sides, 0.0).prod(-1)
    union = (boxes[..., 2:] - boxes[..., :2]).prod(-1) + (others[..., 2:] - others[..., :2]).prod(-1) - shared
    return np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)


def check_paired(detections: Sequence, records: Sequence[Record]) -> None:
    """Raise an error if the numbers of detections and records differ.

    Raises:
        ValueError: they differ.
    """
    if len(detections) != len(records):
        raise ValueError(
            f"Detections of {len(detections)} images do not fit {len(records)} records; give one dict each."
        )


def _candidates(detections, records, threshold):
    # The claims of all detections of the set, as flat arrays; −1 in "objects" means no object.
    parts = {"labels": [], "scores": [], "objects": [], "ignored": []}
    offset = 0
    for found, record in zip(detections, records):
        labels = np.asarray(found["labels"])
        objects, ignored = np.full(len(labels), -1), np.zeros(len(labels), bool)
        if len(labels) and len(record.labels):
            overlaps = pairwise_iou(found["boxes"], record.boxes) * (labels[:, None] == record.labels)
            best = overlaps.argmax(-1)
            claims = overlaps[np.arange(len(labels)), best] > threshold
            objects[claims] = best[claims] + offset
            ignored[claims] = record.ignore[best[claims]]
        offset += len(record.labels)
        for key, value in zip(parts, (labels, np.asarray(found["scores"]), objects, ignored)):
            parts[key].append(value)
    dtypes = {"labels": np.int64, "scores": np.float64, "objects": np.int64, "ignored": bool}
    return {key: _joined(values, dtypes[key]) for key, values in parts.items()}


def _joined(parts, dtype):
    return np.concatenate([np.zeros(0, dtype), *parts]).astype(dtype)
