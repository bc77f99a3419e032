"""Figure of the detections against ground truth: which are right, and in which way the others are wrong.

Letters: N detections, M ground-truth boxes.
"""

import numpy as np

from keras_frcnn.data.records import counted
from keras_frcnn.evaluation.matches import Matches, match
from keras_frcnn.evaluation.tide import KINDS, NONE, Errors, classify
from keras_frcnn.figures.canvas import draw_boxes, legend, name_boxes, panels, show
from keras_frcnn.figures.subject import Subject

WIDER = 1.6
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
    matches = match([found], [truth], names)
    errors = classify(matches)
    kinds = kinds_of(matches, errors)
    missed = np.flatnonzero(errors.missed)
    figure, axes = panels(1, 1, subject.image, _summary(kinds, missed))
    figure.set_size_inches(*(WIDER * figure.get_size_inches()))  # a panel that stands alone
    panel = axes[0, 0]
    show(panel, subject.image, f"{kinds.count('right')} of {matches.counting.sum()} objects found")
    objects = matches.truth
    draw_boxes(panel, objects["boxes"][missed], COLORS["missed"], 2.0, dashed=True)
    tags = [
        (objects["boxes"][index], f"missed: {names[objects['labels'][index]]}", COLORS["missed"])
        for index in missed
    ]
    for index in np.argsort(matches.scores, kind="stable"):
        color, box = COLORS.get(kinds[index], "#9e9e9e"), matches.boxes[index]
        draw_boxes(panel, [box], color, 2.0)
        text = f"{names[matches.labels[index]]} {matches.scores[index]:.2f}"
        tags.append((box, text if kinds[index] == "right" else f"{kinds[index]}: {text}", color))
    # Errors come first, and then the surest detections.
    tags.sort(key=lambda tag: tag[2] == COLORS["right"])
    if tags:
        name_boxes(panel, subject.image.shape[:2], *zip(*tags))
    legend(figure, COLORS)
    return figure


def _summary(kinds, missed):
    wrong = [kind for kind in kinds if kind not in ("right", "ignored")]
    return f"{counted(len(wrong), 'wrong detection')}, {counted(len(missed), 'missed object')}"


def kinds_of(matches: Matches, errors: Errors) -> list[str]:
    """Say of each detection whether it is right, or which of TIDE's errors it is.

    Args:
        matches: `Matches`.
        errors: `Errors` of them.

    Returns:
        list of N names in the order of `matches`: "right", one of `KINDS`, or "ignored" for a detection of an
        object that does not count.
    """
    return [
        "right" if hit else "ignored" if kind == NONE else KINDS[kind]
        for hit, kind in zip(matches.hits, errors.kinds)
    ]
