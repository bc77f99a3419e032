"""Two detectors on the same images: paired differences, and the images that changed most.

Letters: I images, R resamples.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_frcnn.data import Record
from keras_frcnn.evaluation import bootstrap
from keras_frcnn.evaluation.analysis import as_number
from keras_frcnn.evaluation.matches import Matches

# Images that are listed.
MOST_IMAGES = 24


def compare(
    mine: Matches, other: Matches, thresholds: tuple[float, float], records: Sequence[Record]
) -> dict[str, Any]:
    """Compare two detectors. Both get the same resamples of the images, so what is hard for both cancels.

    Args:
        mine, other: `Matches` of both on the same set.
        thresholds: their score thresholds for precision, recall, F1 and errors of an image, 0–1.
        records: the set.

    Returns:
        JSON-serializable dict: "thresholds", of both; "numbers", dict from the name of a number to a dict of
        "this", "other", "difference" (this less other) and "interval" of the difference, 95 % of 1,000
        resamples; "per_class", the same for each class's AP at IoU 0.5; and "images", the images whose number
        of errors (wrong detections and missed objects) changed most, at most 24: "image", its id, "file",
        "number" (its place in the set), "this", "other", "difference".

    Example:
        >>> compare(matches, matches, (0.5, 0.5), records)["numbers"]["coco_ap50"]["difference"]
        0.0
    """
    images = len(mine.shapes)
    whole = np.ones([1, images], np.int32)
    weights = np.concatenate([whole, bootstrap.resamples(images)])
    ours, theirs = (
        bootstrap.resampled_numbers(matches, threshold, weights)
        for matches, threshold in zip((mine, other), thresholds)
    )
    per_class = zip(mine.class_names, ours.pop("per_class").T, theirs.pop("per_class").T)
    return {
        "thresholds": {"this": thresholds[0], "other": thresholds[1]},
        "numbers": {name: _difference(ours[name], theirs[name]) for name in ours},
        "per_class": {name: _difference(one, two) for name, one, two in per_class},
        "images": _changed(mine, other, thresholds, records),
    }


def _difference(ours, theirs):
    """Of numbers of the whole set, first, and of its resamples."""
    return {
        "this": as_number(ours[0]),
        "other": as_number(theirs[0]),
        "difference": as_number(ours[0] - theirs[0]),
        "interval": bootstrap.interval(ours[1:] - theirs[1:]),
    }


def _changed(mine, other, thresholds, records):
    ours, theirs = (
        counts["false_positives"] + counts["missed"]
        for counts in map(bootstrap.by_image, (mine, other), thresholds)
    )
    change = ours - theirs
    order = np.argsort(-np.abs(change), kind="stable")[:MOST_IMAGES]
    return [
        {
            "image": str(records[number].image_id),
            "file": records[number].file,
            "number": int(number),
            "this": int(ours[number]),
            "other": int(theirs[number]),
            "difference": int(change[number]),
        }
        for number in order
        if change[number]
    ]
