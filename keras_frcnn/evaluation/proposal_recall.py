"""Recall of proposals: the share of objects, of any class, that the first n boxes of an image reach.

Letters: P proposals and M objects of an image, N objects of the set, T IoU thresholds.
"""

from collections.abc import Mapping, Sequence
from os import PathLike
from typing import Any

import numpy as np

from keras_frcnn.data import Record
from keras_frcnn.data.records import counted
from keras_frcnn.evaluation.voc import pairwise_iou
from keras_frcnn.files import replacing

COUNTS = (10, 30, 100, 300, 1000, 2000)
IOUS = (0.5, 0.7)
# Of average recall, as in COCO's averages.
AVERAGE_IOUS = tuple(round(0.5 + 0.05 * step, 2) for step in range(10))


def recall_curve(
    proposals: Sequence[np.ndarray],
    records: Sequence[Record],
    counts: Sequence[int] = COUNTS,
    ious: Sequence[float] = IOUS,
) -> dict[str, Any]:
    """Recall against the number of proposals (Hosang et al. 2016, section 4).

    An object is reached if one of the first n proposals of its image has at least the required IoU with it.
    `ignore` objects are left out.

    Args:
        proposals: list of `[P, 4]` xyxy pixels, best first, one per image.
        records: list of `keras_frcnn.data.Record`, the images in the same order.
        counts: numbers of proposals per image; an image with fewer uses all of them.
        ious: T thresholds in 0–1.

    Returns:
        JSON-serializable dict: "images" and "objects", their numbers; "proposals_per_image", the mean;
        "counts"; "recall", dict from the threshold as str to a list of fractions in 0–1, one for each count,
        None if there is no object; "average_recall", such a list of the means over IoU 0.50, 0.55 … 0.95
        (section 5 of the paper).

    Raises:
        ValueError: the numbers of arrays of proposals and records differ.

    Example:
        >>> dataset = keras_frcnn.data.load("shapes@val")
        >>> recall_curve([record.boxes for record in dataset.records], dataset.records)["recall"]["0.7"][-1]
        1.0
    """
    if len(proposals) != len(records):
        raise ValueError(
            f"Proposals of {len(proposals)} images do not fit {len(records)} records; give one array each."
        )
    thresholds = [*ious, *AVERAGE_IOUS]
    # Number of proposals needed to reach each object: [T, N].
    needed = np.concatenate(
        [
            np.zeros([len(thresholds), 0]),
            *(_needed(*pair, thresholds) for pair in zip(proposals, records)),
        ],
        axis=1,
    )

    def share(rows):
        return [float(np.mean(rows <= count)) if rows.size else None for count in counts]

    return {
        "images": len(records),
        "objects": needed.shape[1],
        "proposals_per_image": float(np.mean([len(boxes) for boxes in proposals])) if records else 0.0,
        "counts": [int(count) for count in counts],
        "recall": {str(iou): share(row) for iou, row in zip(ious, needed)},
        "average_recall": share(needed[len(ious) :]),
    }


def report(curve: Mapping[str, Any]) -> str:
    """Format the result of `recall_curve` as a table.

    Args:
        curve: dict from `recall_curve`.

    Returns:
        str of several lines; recall in percent, a dash if there is no object.

    Example:
        >>> dataset = keras_frcnn.data.load("shapes@val")
        >>> boxes = [record.boxes for record in dataset.records]
        >>> print(report(recall_curve(boxes, dataset.records, counts=(10, 100))).splitlines()[-1])
        average            100.00   100.00
    """
    lines = [
        f"{counted(curve['objects'], 'object')} in {counted(curve['images'], 'image')}, "
        f"{curve['proposals_per_image']:.0f} proposals an image on average; recall in percent:",
        "",
        "proposals       " + "".join(f"{count:>9}" for count in curve["counts"]),
    ]
    rows = {f"at IoU {iou}": recall for iou, recall in curve["recall"].items()}
    # A curve that an earlier version wrote has no average.
    rows |= {"average": curve["average_recall"]} if "average_recall" in curve else {}
    for name, recall in rows.items():
        cells = ("-" if value is None else f"{100 * value:.2f}" for value in recall)
        lines.append(f"{name:16}" + "".join(f"{cell:>9}" for cell in cells))
    return "\n".join(lines)


def plot(curves: Mapping[str, Mapping[str, Any]], path: str | PathLike) -> None:
    """Draw recall against the number of proposals.

    Args:
        curves: dict from the name of a method to its result of `recall_curve`.
        path: image file to write, such as "recall.png"; an existing one is replaced.

    Raises:
        ValueError: matplotlib does not write files with this ending.

    Example:
        >>> plot({"selective search": recall_curve(proposals, dataset.records)}, "recall.png")
    """
    from matplotlib.figure import Figure  # slow import (one second) that few callers need

    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.add_subplot(xscale="log", ylim=(0, 1.02), xlabel="proposals an image", ylabel="recall")
    for color, (name, curve) in enumerate(curves.items()):
        for (iou, recall), style in zip(curve["recall"].items(), ("-", "--", "-.", ":")):
            values = np.array(recall, np.float64)
            axes.plot(curve["counts"], values, f"C{color}{style}o", label=f"{name}, IoU {iou}", markersize=4)
    axes.xaxis.set_major_formatter("{x:g}")
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right")
    with replacing(path) as partial:
        figure.savefig(partial, dpi=150)


def _needed(proposals, record, ious):
    # [T, M]; infinite for objects that no proposal reaches.
    reached = pairwise_iou(proposals, record.boxes[~record.ignore]) >= np.reshape(ious, [-1, 1, 1])
    if not len(proposals):
        return np.full([len(ious), reached.shape[-1]], np.inf)
    return np.where(reached.any(1), reached.argmax(1) + 1, np.inf)
