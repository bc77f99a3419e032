"""Verdicts on the detections of a set by the rule of PASCAL VOC.

Letters: D detections and G objects of the set, P pairs of both.
"""

import numpy as np

from keras_frcnn.evaluation.coco_matching import HIT, MISS, NEITHER
from keras_frcnn.evaluation.matches import Matches, overlapping


def voc_verdicts(matches: Matches, iou: float = 0.5) -> np.ndarray:
    """Judge detections as `voc.evaluate` does.

    Args:
        matches: `Matches`, whose crowds are VOC's difficult objects; it has the best 100 detections of each
            class in an image, while `voc.evaluate` judges all.
        iou: a claim needs a higher one, 0–1.

    Returns:
        int8 `[D]`: HIT, MISS or NEITHER of `coco_matching`.

    Example:
        >>> box = np.array([[0.0, 0, 9, 9]])
        >>> found = [{"boxes": box, "scores": np.ones(1), "labels": np.zeros(1, int)}]
        >>> from keras_frcnn.data import Record
        >>> from keras_frcnn.evaluation.matches import match
        >>> area = np.array([81.0])
        >>> records = [Record(0, "", 9, 9, box, np.zeros(1, int), np.zeros(1, bool), area)]
        >>> voc_verdicts(match(found, records, ["cell"])) == HIT
        array([ True])
    """
    truth = matches.truth
    found, objects, overlaps = overlapping(
        matches.images, matches.boxes, truth["images"], truth["boxes"], iou
    )
    keep = (matches.labels[found] == truth["labels"][objects]) & (overlaps > iou)
    found, objects, overlaps = found[keep], objects[keep], overlaps[keep]
    # Each detection claims the object that it overlaps most, of several the first.
    order = np.lexsort((objects, -overlaps, found))
    claiming, first = np.unique(found[order], return_index=True)
    claimed = objects[order][first]
    verdicts = np.full(len(matches.labels), MISS, np.int8)
    # Detections of a class come best first, so the first claim on an object is the best one.
    _, best = np.unique(claimed, return_index=True)
    verdicts[claiming[best]] = HIT
    verdicts[claiming[truth["crowd"][claimed]]] = NEITHER
    return verdicts
