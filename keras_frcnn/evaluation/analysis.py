"""All analyses of a set in one dict.

Letters: I images, R resamples.
"""

from typing import Any

import numpy as np

from keras_frcnn.evaluation import bootstrap, tide
from keras_frcnn.evaluation.calibration import calibration
from keras_frcnn.evaluation.confusion import IOU, confusion_matrix
from keras_frcnn.evaluation.groups import average_precision_by_group
from keras_frcnn.evaluation.matches import Matches
from keras_frcnn.evaluation.score_curves import operating_threshold, point, precision_at_recall, score_curves

BACKGROUND = "background"


def analyze(matches: Matches) -> dict[str, Any]:
    """Where a detector is good and where it fails.

    Args:
        matches: `Matches` of its detections.

    Returns:
        JSON-serializable dict; fractions in 0–1, None where something is not defined:
        "operating_point": "threshold", the score of the best F1 of all classes together, and "precision",
        "recall", "f1", "true_positives", "false_positives", "missed" there;
        "intervals": dict from the name of a number to [lowest, highest], "per_class" of AP at IoU 0.5, and
        how they were made: "resamples", "confidence", "seed"; "biased", the names whose interval misleads,
        see `bootstrap.is_biased`;
        "score_curves", "precision_at_recall": see `score_curves`;
        "confusion": "classes", "matrix", "iou", "threshold", see `confusion_matrix`;
        "groups": see `average_precision_by_group`;
        "errors": "counts", "ap50", "gains" and "special" of `tide`, and "counts_at_threshold", the kinds of
        the errors at the operating point;
        "calibration": see `calibration`.

    Example:
        >>> analyze(matches)["operating_point"]["threshold"]
    """
    curves = score_curves(matches)
    threshold = operating_threshold(curves)
    errors = tide.classify(matches)
    sure = matches.above(threshold)
    return {
        "operating_point": _operating_point(matches, threshold),
        "intervals": _intervals(matches, threshold),
        "score_curves": curves,
        "precision_at_recall": precision_at_recall(matches),
        "confusion": {
            "classes": [*matches.class_names, BACKGROUND],
            "matrix": confusion_matrix(matches, threshold).tolist(),
            "iou": IOU,
            "threshold": threshold,
        },
        "groups": average_precision_by_group(matches),
        "errors": {
            "counts": errors.counts(),
            "counts_at_threshold": tide.classify(sure).counts(),
            **tide.gains(matches, errors),
        },
        "calibration": calibration(matches),
    }


def _operating_point(matches, threshold):
    counts = bootstrap.by_image(matches, threshold)
    right, wrong, missed = (int(counts[name].sum()) for name in bootstrap.COUNTS)
    numbers = point(right, right + wrong, right + missed)
    return {"threshold": threshold, **numbers, **dict(zip(bootstrap.COUNTS, (right, wrong, missed)))}


def _intervals(matches, threshold):
    images = len(matches.shapes)
    # The first row counts each image once.
    weights = np.concatenate([np.ones([1, images], np.int32), bootstrap.resamples(images)])
    numbers = bootstrap.resampled_numbers(matches, threshold, weights)
    per_class = numbers.pop("per_class")[1:]
    biased = [name for name, values in numbers.items() if bootstrap.is_biased(values[0], values[1:])]
    return {
        "resamples": bootstrap.RESAMPLES,
        "confidence": bootstrap.CONFIDENCE,
        "seed": bootstrap.SEED,
        "biased": biased,
        **{name: bootstrap.interval(values[1:]) for name, values in numbers.items()},
        "per_class": {
            name: bootstrap.interval(values) for name, values in zip(matches.class_names, per_class.T)
        },
    }


def as_number(value: float) -> float | None:
    """A number for JSON, which has no NaN: None instead."""
    return None if np.isnan(value) else float(value)
