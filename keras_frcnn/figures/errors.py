"""Figure of the detections against ground truth: which are right, and in which way the others are wrong.

Letters: N detections, M ground-truth boxes.
"""

from collections.abc import Mapping

import numpy as np

from keras_frcnn.data import Record
from keras_frcnn.data.records import counted
from keras_frcnn.evaluation.voc import pairwise_iou
from keras_frcnn.figures.canvas import draw_boxes, legend, name_box, panels, show
from keras_frcnn.figures.subject import Subject

# TIDE's bounds: a detection of this IoU finds its object; one below the other is about background.
FOUND_IOU, BACKGROUND_IOU = 0.5, 0.1
SURE = 0.5  # only detections with at least this score are judged
COLORS = {
    "right": "#2e7d32",
    "classification": "#ff9100",
    "localization": "#2979ff",
    "both": "#aa00ff",
    "duplicate": "#fdd835",
    "background": "#e53935",
    "missed": "#00e5ff",
}


def draw(subject: Subject, top: int | None = None):
    """Draw the detections that score 0.5 or more and the missed objects, each in the color of its kind.

    Args:
        subject: the model, which needs a second stage, the image and its ground truth.
        top: largest number of detections, best first; by default all.

    Returns:
        `matplotlib.figure.Figure`.

    Raises:
        ValueError: the model is an RPN, or there is no ground truth.
    """
    subject.check_second_stage("errors")
    truth = subject.required_truth()
    names = subject.model.class_names
    found = subject.model.detect(subject.image)
    kept = np.flatnonzero(found["scores"] >= SURE)[:top]
    found = {name: values[kept] for name, values in found.items()}
    kinds, missed = judge(found, truth)
    figure, axes = panels(1, 1, subject.image, _summary(kinds, missed))
    panel = axes[0, 0]
    show(panel, subject.image, f"{kinds.count('right')} of {(~truth.ignore).sum()} objects found")
    draw_boxes(panel, truth.boxes[missed], COLORS["missed"], 2.0, dashed=True)
    for index in missed:
        name_box(panel, truth.boxes[index], f"missed: {names[truth.labels[index]]}", COLORS["missed"])
    for index in reversed(range(len(kinds))):
        color, box = COLORS.get(kinds[index], "#9e9e9e"), found["boxes"][index]
        draw_boxes(panel, [box], color, 2.0)
        text = f"{names[found['labels'][index]]} {found['scores'][index]:.2f}"
        name_box(panel, box, text if kinds[index] == "right" else f"{kinds[index]}: {text}", color)
    legend(figure, COLORS)
    return figure


def _summary(kinds, missed):
    wrong = [kind for kind in kinds if kind not in ("right", "ignored")]
    return f"{counted(len(wrong), 'wrong detection')}, {counted(len(missed), 'missed object')}"


def judge(found: Mapping[str, np.ndarray], truth: Record) -> tuple[list[str], np.ndarray]:
    """Say which detections are right, and which of TIDE's errors the others are (Bolya et al. 2020).

    Args:
        found: dict of "boxes" `[N, 4]`, "scores" `[N]` and "labels" `[N]`, best first.
        truth: `Record` in the same pixels and classes.

    Returns:
        list of N kinds: "right", "classification", "localization", "both", "duplicate", "background", or
        "ignored" for a detection of an object that does not count; and int `[M']`, the missed objects: those
        that no detection finds and none fails only in class or place.

    Example:
        >>> record = keras_frcnn.data.load("shapes@val").records[0]
        >>> found = {"boxes": record.boxes, "scores": np.ones(len(record.labels)), "labels": record.labels}
        >>> {*judge(found, record)[0]}
        {'right'}
    """
    iou = pairwise_iou(found["boxes"], truth.boxes)
    counts = ~truth.ignore
    taken, excused = np.zeros(len(counts), bool), np.zeros(len(counts), bool)
    kinds = []
    for row, label in zip(iou, found["labels"]):
        same, other = counts & (truth.labels == label), counts & (truth.labels != label)
        free = np.where(same & ~taken, row, 0.0)
        if free.max(initial=0.0) >= FOUND_IOU:
            taken[free.argmax()] = True
            kinds.append("right")
            continue
        own, foreign = np.where(same, row, 0.0), np.where(other, row, 0.0)
        if np.where(~counts & (truth.labels == label), row, 0.0).max(initial=0.0) >= FOUND_IOU:
            kind = "ignored"
        elif BACKGROUND_IOU <= own.max(initial=0.0) < FOUND_IOU:
            kind = "localization"
            excused[own.argmax()] = True
        elif foreign.max(initial=0.0) >= FOUND_IOU:
            kind = "classification"
            excused[foreign.argmax()] = True
        elif own.max(initial=0.0) >= FOUND_IOU:
            kind = "duplicate"
        elif foreign.max(initial=0.0) < BACKGROUND_IOU:
            kind = "background"
        else:
            kind = "both"
        kinds.append(kind)
    return kinds, np.flatnonzero(counts & ~taken & ~excused)
