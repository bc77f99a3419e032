"""Which classes a detector takes for one another, and for background.

Letters: K classes, P pairs of a detection and an object.
"""

import numpy as np

from keras_frcnn.evaluation.matches import Matches, overlapping

IOU = 0.5


def confusion_matrix(matches: Matches, threshold: float) -> np.ndarray:
    """Count what each object was taken for.

    First the right detections of a score from `threshold` on take their objects, so that the diagonal holds
    the true positives. The wrong detections and the other objects are then paired whatever their classes,
    the highest IoU first, down to 0.5.

    Args:
        matches: `Matches`.
        threshold: detections with a lower score are left out, 0–1.

    Returns:
        int `[K + 1, K + 1]`: a row for each class of an object, a column for each class of a detection. The
        last row counts detections on background, the last column objects that were missed.

    Example:
        >>> confusion_matrix(matches, 0.5)[-1, -1]
        0
    """
    sure = matches.above(threshold)
    background = len(matches.class_names)
    labels = matches.truth["labels"]
    hits, wrong = np.flatnonzero(sure.hits), np.flatnonzero(sure.wrong)
    left = np.flatnonzero(matches.counting & (sure.finders < 0))
    detections, objects = _pair(sure, wrong, left)
    strays, missed = np.setdiff1d(wrong, detections), np.setdiff1d(left, objects)
    rows = labels[sure.objects[hits]], labels[objects], np.full(len(strays), background), labels[missed]
    columns = (
        *(sure.labels[hits], sure.labels[detections], sure.labels[strays]),
        np.full(len(missed), background),
    )
    side = background + 1
    cells = np.concatenate(rows) * side + np.concatenate(columns)
    return np.bincount(cells, minlength=side * side).reshape(side, side)


def _pair(sure, wrong, left):
    """Pair wrong detections with objects that were not found, one to one: two int `[P]`."""
    first, second, overlaps = overlapping(
        sure.images[wrong], sure.boxes[wrong], sure.truth["images"][left], sure.truth["boxes"][left], IOU
    )
    taken, given, pairs = set(), set(), []
    for place in np.argsort(-overlaps, kind="stable"):
        detection, thing = int(wrong[first[place]]), int(left[second[place]])
        if detection not in taken and thing not in given:
            taken.add(detection)
            given.add(thing)
            pairs.append((detection, thing))
    detections, objects = np.array(pairs, np.int64).reshape(-1, 2).T
    return detections, objects
