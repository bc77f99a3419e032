"""Figure of the proposals, and of how many objects they reach (Faster R-CNN, figure 4)."""

import dataclasses

import numpy as np

from keras_frcnn.evaluation.proposal_recall import recall_curve
from keras_frcnn.evaluation.voc import pairwise_iou
from keras_frcnn.figures.canvas import TRUTH, draw_boxes, legend, panels, plain, show
from keras_frcnn.figures.subject import Subject

TOP = 50
MISSED = "#ff1744"
REACHED_IOU = 0.5
COUNTS = (1, 3, 10, 30, 100, 300, 1000, 2000)


def draw(subject: Subject, top: int | None = None):
    """Draw the best proposals and, with ground truth, which objects they reach and the recall.

    Args:
        subject: the model and the image; a model without an RPN gets the proposals of selective search.
        top: largest number of proposals; by default 50.

    Returns:
        `matplotlib.figure.Figure`.
    """
    from matplotlib import colormaps

    boxes, scores = subject.candidates
    shown = boxes[: top or TOP]
    origin = "selective search" if scores is None else "the RPN"
    figure, axes = panels(1, 1 if subject.truth is None else 2, subject.picture, f"proposals of {origin}")
    # Each in the color of its rank, the best one last, so that it lies on top.
    ranks = np.linspace(1, 0, len(shown))
    show(axes[0, 0], subject.picture, _title(shown, boxes, scores))
    draw_boxes(axes[0, 0], shown[::-1], colormaps["plasma"](ranks[::-1]), 1.0)
    if subject.truth is not None:
        objects = subject.y["boxes"][0].numpy()[~subject.truth.ignore]
        reached = pairwise_iou(objects, shown).max(axis=1, initial=0) >= REACHED_IOU
        draw_boxes(axes[0, 0], objects[reached], TRUTH, 2.5, dashed=True)
        draw_boxes(axes[0, 0], objects[~reached], MISSED, 2.5, dashed=True)
        found = f"{reached.sum()} of {len(objects)} objects reached by these {len(shown)} (IoU {REACHED_IOU})"
        legend(figure, {found: TRUTH, "not reached by these": MISSED})
        _plot_recall(axes[0, 1], subject, boxes)
    return figure


def _title(shown, boxes, scores):
    if scores is None or not len(shown):
        return f"{len(shown)} of {len(boxes)}, the first in yellow"
    return (
        f"best {len(shown)} of {len(boxes)}, scores {scores[0]:.3f} (yellow) to {scores[len(shown) - 1]:.3f}"
    )


def _plot_recall(axes, subject, boxes):
    """Recall of the first n proposals of this image, at two IoUs."""
    resized = dataclasses.replace(subject.truth, boxes=subject.y["boxes"][0].numpy())
    counts = [count for count in COUNTS if count < len(boxes)] + [max(len(boxes), 1)]
    curve = recall_curve([boxes], [resized], counts)
    axes.set_axis_on()
    axes.set(xscale="log", ylim=(-0.02, 1.02), xlabel="proposals", ylabel="recall")
    axes.set_title("objects of this image that n proposals reach", fontsize=10)
    for iou, recall in curve["recall"].items():
        if None not in recall:
            axes.plot(counts, recall, marker="o", label=plain(f"IoU {iou}"))
    axes.xaxis.set_major_formatter("{x:g}")
    axes.grid(alpha=0.3)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(loc="lower right")
