"""Check whether two sides give the same detections.

Letter: N detections.
"""

import numpy as np

# Detections are the same if they differ by less than this, in pixels and in score.
BOX, SCORE = 0.05, 1e-4
# Share of all detections, including extra ones, that rounding may change in one float32 side alone.
SLACK = 0.05
# With random weights bfloat16 finds 35 to 85 of 100 again; another network would find none.
FEWEST_AGAIN = 0.25


def agreeing(answer, reference):
    """Count the detections of the reference that another side also gives.

    If two proposals have nearly equal logits, either may suppress the other, so a few detections may differ
    although everything is correct.

    Args:
        answer, reference: dicts of "boxes" `[N, 4]` (pixels), "scores" `[N]` and "labels" `[N]`.

    Returns:
        int: detections of the reference that the answer has with the same label, the box within 0.05 px and
        the score within 1e-4.
    """
    return _count(answer, reference, np.abs(_pairs(answer, reference, "boxes")).max(axis=-1) < BOX, SCORE)


def found_again(answer, reference):
    """Like `agreeing`, for another precision: the same label, an IoU of at least 0.8, and any score."""
    return _count(answer, reference, _iou(answer["boxes"], reference["boxes"]) >= 0.8, np.inf)


def _count(answer, reference, same, score):
    same &= np.abs(_pairs(answer, reference, "scores")) < score
    same &= _pairs(answer, reference, "labels") == 0
    return int(same.any(axis=0).sum())


def _pairs(answer, reference, name):
    return np.float64(answer[name])[:, None] - np.float64(reference[name])


def _iou(one, two):
    low, high = np.maximum(one[:, None, :2], two[:, :2]), np.minimum(one[:, None, 2:], two[:, 2:])
    shared = np.maximum(high - low, 0).prod(axis=-1)
    areas = [(boxes[:, 2:] - boxes[:, :2]).prod(axis=-1) for boxes in (one, two)]
    return shared / np.maximum(areas[0][:, None] + areas[1] - shared, 1e-12)
