"""Precision, recall and F1 against the score threshold, and precision against recall.

Letters: D detections, K classes, S score thresholds.
"""

from typing import Any

import numpy as np

from keras_frcnn.evaluation.coco import interpolated_precision
from keras_frcnn.evaluation.matches import Matches

THRESHOLDS = np.linspace(0.0, 1.0, 101)
# The threshold where no detection is right, so that none is best.
DEFAULT_THRESHOLD = 0.5


def score_curves(matches: Matches) -> dict[str, Any]:
    """Precision, recall and F1 at IoU 0.5 of the detections from each score on.

    Args:
        matches: `Matches`.

    Returns:
        dict: "thresholds", the scores 0, 0.01 … 1; "all", the curves of all classes together; "per_class",
        dict from name to the curves. Curves are a dict of "precision", "recall", "f1": lists of fractions in
        0–1, None where there is no detection or no object; and "best": dict of "threshold", "precision",
        "recall", "f1" where F1 is highest, None if no detection is right.

    Example:
        >>> score_curves(matches)["all"]["best"]["threshold"]
    """
    counts = matches.objects_per_class()
    counted = matches.hits | matches.wrong
    per_class = {
        name: _curves(*_chosen(matches, counted & (matches.labels == label)), int(counts[label]))
        for label, name in enumerate(matches.class_names)
    }
    everything = _curves(*_chosen(matches, counted), int(counts.sum()))
    return {"thresholds": THRESHOLDS.tolist(), "all": everything, "per_class": per_class}


def _chosen(matches, chosen):
    return matches.scores[chosen], matches.hits[chosen]


def _curves(scores, hits, objects):
    order = np.argsort(-scores, kind="stable")
    scores, found = scores[order], np.cumsum(hits[order])
    # Detections of one score come and go together.
    last = np.flatnonzero(np.diff(scores, append=-np.inf))
    best = None
    if len(last) and objects and found[-1]:
        f1 = 2 * found[last] / (last + 1 + objects)
        place = last[f1.argmax()]
        best = {"threshold": float(scores[place]), **point(int(found[place]), int(place) + 1, objects)}
    above = np.searchsorted(-scores, -THRESHOLDS, side="right")
    rights = np.append(0, found)[above]
    points = [point(int(right), int(number), objects) for right, number in zip(rights, above)]
    curves = {name: [one[name] for one in points] for name in ("precision", "recall", "f1")}
    return {**curves, "best": best}


def point(right: int, detections: int, objects: int) -> dict[str, float | None]:
    """Precision, recall and F1 from counts.

    Args:
        right: number of right detections.
        detections: number of detections that count.
        objects: number of objects to find.

    Returns:
        dict of "precision", "recall", "f1", fractions in 0–1; None for what lacks detections or objects.

    Example:
        >>> point(1, 2, 4)
        {'precision': 0.5, 'recall': 0.25, 'f1': 0.3333333333333333}
    """
    return {
        "precision": right / detections if detections else None,
        "recall": right / objects if objects else None,
        "f1": 2 * right / (detections + objects) if objects else None,
    }


def operating_threshold(curves: dict[str, Any]) -> float:
    """The score at which F1 of all classes together is highest; 0.5 if no detection is right.

    Args:
        curves: dict from `score_curves`.

    Returns:
        float in 0–1.
    """
    best = curves["all"]["best"]
    return best["threshold"] if best else DEFAULT_THRESHOLD


def precision_at_recall(matches: Matches) -> dict[str, list[float] | None]:
    """COCO's interpolated precision at IoU 0.5 and the recalls 0, 0.01 … 1.

    Args:
        matches: `Matches`.

    Returns:
        dict from class name to 101 fractions in 0–1, whose mean is the class's average precision; None for a
        class without objects.

    Example:
        >>> precision_at_recall(matches)["square"][0]
    """
    counts, counted = matches.objects_per_class(), matches.hits | matches.wrong
    curves = {}
    for label, name in enumerate(matches.class_names):
        mine = counted & (matches.labels == label)
        hits = matches.hits[mine][None]
        curve = interpolated_precision(hits, np.ones_like(hits), counts[label]) if counts[label] else None
        curves[name] = None if curve is None else curve[0].tolist()
    return curves
