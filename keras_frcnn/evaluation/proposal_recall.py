"""Recall of proposals: the share of objects, of any class, that the first n boxes of an image reach.

Letters: P proposals and M objects of an image, N objects of the set, T IoU thresholds.
"""

from collections.abc import Mapping, Sequence
from os import PathLike
from typing import Any

import numpy as np

from keras_frcnn.data import Record
from keras_frcnn.evaluation.voc import pairwise_iou
from keras_frcnn.files import replacing

COUNTS = (10, 30, 100, 300, 1000, 2000)
IOUS = (0.5, 0.7)


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
        None if there is no object.

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
    # Number of proposals needed to reach each object: [T, N].
    needed = np.concatenate(
        [np.zeros([len(ious), 0]), *(_needed(*pair, ious) for pair in zip(proposals, records))], axis=1
    )
    recall = {
        str(iou): [float(np.mean(row <= count)) if row.size else None for count in counts]
        for iou, row in zip(ious, needed)
    }
    return {
        "images": len(records),
        "objects": needed.shape[1],
        "proposals_per_image": float(np.mean([len(boxes) for boxes in proposals])) if records else 0.0,
        "counts": [int(count) for count in counts],
        "recall": recall,
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
        at IoU 0.7         100.00   100.00
    """
    lines = [
        f"{curve['objects']} objects in {curve['images']} images, "
        f"{curve['proposals_per_image']:.0f} proposals an image on average; recall in percent:",
        "",
        "proposals       " + "".join(f"{count:>9}" for count in curve["counts"]),
    ]
    for iou, recall in curve["recall"].items():
        cells = ("-" if value is None else f"{100 * value:.2f}" for value in recall)
        lines.append(f"at IoU {iou:9}" + "".join(f"{cell:>9}" for cell in cells))
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
