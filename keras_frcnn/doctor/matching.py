"""Objects and the detections that find them, whatever their classes.

Letters: M objects of an image, N detections.
"""

from collections.abc import Mapping

import numpy as np

from keras_frcnn.data import Record
from keras_frcnn.evaluation.voc import pairwise_iou

FOUND_IOU = 0.5


def best_scores(found: Mapping, record: Record, labels: np.ndarray | None = None) -> tuple:
    """For each object that counts, the surest detection at its place.

    Args:
        found: dict "boxes" `[N, 4]`, "scores" `[N]`, "labels" `[N]`.
        record: the objects.
        labels: int `[M]`, labels of all objects; a detection must have the same one. None for any.

    Returns:
        Scores float `[M]`, 0 where there is none, and labels of these detections int `[M]`, −1 where there is
        none; of the objects that count only.
    """
    counts = ~record.ignore
    here = pairwise_iou(record.boxes[counts], found["boxes"]) >= FOUND_IOU
    if labels is not None:
        here &= labels[counts][:, None] == np.asarray(found["labels"])[None]
    scores = np.where(here, np.asarray(found["scores"])[None], 0.0)
    if not scores.size:
        return np.zeros(len(here)), np.full(len(here), -1)
    best = scores.argmax(axis=1)
    surest = scores[np.arange(len(here)), best]
    return surest, np.where(surest > 0, np.asarray(found["labels"])[best], -1)


def model_labels(record: Record, names: tuple[str, ...], model_names: tuple[str, ...]) -> np.ndarray:
    """Labels of all objects of a record as a model numbers them, matched by name; −1 for unknown names."""
    known = {name: label for label, name in enumerate(model_names)}
    return np.array([known.get(names[label], -1) for label in record.labels], np.int64)
