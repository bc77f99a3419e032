"""Figures about a data set: sizes, aspect ratios, objects of an image, anchors.

Letter: N objects.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from keras_frcnn.data import DetectionDataset
from keras_frcnn.data.records import counted
from keras_frcnn.files import replacing

# Classes that the plot names, rows that it has room for at least, and most bars of whole numbers.
SHOWN, FEWEST_ROWS, MOST_BARS = 20, 5, 30


def statistics(dataset: DetectionDataset, anchors: Mapping[str, Any]) -> dict[str, Any]:
    """Compute the figures of a set.

    Args:
        dataset: the set.
        anchors: dict from `objects.anchor_findings`.

    Returns:
        JSON-serializable dict. A range is `[least, median, greatest]`: "width", "height" of images,
        "objects_an_image", "object_side" (square root of the area, as a share of the square root of the
        image's), "aspect_ratio" (height / width), "best_anchor_iou"; None without objects.
    """
    records = dataset.records
    boxes, shares = _boxes(dataset)
    counts = np.bincount(
        np.concatenate([np.zeros(0, np.int32), *(record.labels for record in records)]),
        minlength=len(dataset.class_names),
    )
    return {
        "name": dataset.name,
        "images": len(records),
        "objects": len(boxes),
        "ignored": sum(int(record.ignore.sum()) for record in records),
        "classes": dict(zip(dataset.class_names, counts.tolist())),
        "width": _range([record.width for record in records]),
        "height": _range([record.height for record in records]),
        "objects_an_image": _range([len(record.labels) for record in records]),
        "object_side": _range(shares),
        "aspect_ratio": _range(_ratios(boxes)),
        "best_anchor_iou": _range(anchors["best_iou"]),
        "objects_with_anchor": anchors["covered"],
        "better_anchor_factor": anchors["factor"],
    }


def report(figures: Mapping[str, Any]) -> str:
    """Format the result of `statistics` in a few lines."""
    classes = sorted(figures["classes"].items(), key=lambda item: -item[1])
    named = ", ".join(f"{name} {count}" for name, count in classes[:SHOWN])
    lines = [
        f"{figures['name']}: {counted(figures['images'], 'image')}, {counted(figures['objects'], 'object')}",
        f"  classes: {named}" + (" …" if len(classes) > SHOWN else ""),
        "  least, median, greatest:",
    ]
    for name, title in (
        ("width", "width of an image, pixels"),
        ("height", "height of an image, pixels"),
        ("objects_an_image", "objects of an image"),
        ("object_side", "side of an object / of its image"),
        ("aspect_ratio", "height / width of an object"),
        ("best_anchor_iou", "IoU with the best anchor"),
    ):
        if figures[name]:
            lines.append(f"    {title:34}" + "".join(f"{value:>9.4g}" for value in figures[name]))
    return "\n".join(lines)


def check_plot(path: Path) -> None:
    """Refuse a file that `plot` cannot write, and create its folder.

    Raises:
        ValueError: it is a folder, or matplotlib does not write files with this ending.
    """
    from matplotlib.figure import Figure  # see `plot`

    endings = Figure().canvas.get_supported_filetypes()
    if path.is_dir() or path.suffix.lower().removeprefix(".") not in endings:
        raise ValueError(
            f"--plot {path} is no image file; name one that ends in .{', .'.join(sorted(endings))}."
        )
    path.parent.mkdir(parents=True, exist_ok=True)


def plot(dataset: DetectionDataset, anchors: Mapping[str, Any], path: Path) -> None:
    """Draw the figures.

    Args:
        dataset: the set.
        anchors: dict from `objects.anchor_findings`.
        path: image file to write, see `check_plot`.
    """
    from matplotlib.figure import Figure  # slow import (one second) that few callers need

    boxes, shares = _boxes(dataset)
    figure = Figure(figsize=(12, 7), layout="constrained")
    axes = figure.subplots(2, 3).ravel()
    axes[0].scatter(*zip(*[(record.width, record.height) for record in dataset.records]), s=8, alpha=0.4)
    axes[0].set(
        title="images", xlabel="width, pixels", ylabel="height, pixels", xlim=(0, None), ylim=(0, None)
    )
    labels = np.concatenate([np.zeros(0, np.int32), *(record.labels for record in dataset.records)])
    counts = np.bincount(labels, minlength=len(dataset.class_names))
    most = np.argsort(-counts, kind="stable")[:SHOWN][::-1]
    # Escape what matplotlib would take for a formula.
    names = [dataset.class_names[index][:24].replace("$", r"\$") for index in most]
    axes[1].barh(range(len(most)), counts[most], tick_label=names)
    # Few bars stay slim, and begin at the top.
    axes[1].set(
        title="objects by class", xlabel="objects", ylim=(min(0, len(most) - FEWEST_ROWS) - 0.6, None)
    )
    in_image = np.array([len(record.labels) for record in dataset.records])
    # Bars around whole numbers, each of as many of them as the others.
    width = 1 + in_image.max(initial=0) // MOST_BARS
    panels = (
        (
            axes[2],
            in_image,
            "objects of an image",
            np.arange(in_image.max(initial=0) + 1 + width, step=width) - 0.5,
        ),
        (axes[3], shares, "side of an object / side of its image", np.linspace(0, 1, 41)),
        (axes[4], np.log2(_ratios(boxes)), "log2 (height / width) of an object", 40),
        (axes[5], anchors["best_iou"], "IoU with the best anchor", np.linspace(0, 1, 41)),
    )
    for panel, values, title, bins in panels:
        panel.hist(values, bins=bins)
        panel.set(title=title)
        panel.yaxis.get_major_locator().set_params(integer=True)
    for axis in (axes[1].xaxis, axes[2].xaxis):
        axis.get_major_locator().set_params(integer=True)
    axes[5].axvline(0.5, color="black", linewidth=1)
    figure.suptitle(dataset.name.replace("$", r"\$"), fontsize=10, wrap=True)
    with replacing(path) as partial:
        figure.savefig(partial, dpi=120)


def _boxes(dataset):
    """All boxes `[N, 4]`, and the side of each as a share of its image's `[N]`."""
    boxes, shares = [np.zeros([0, 4])], [np.zeros(0)]
    for record in dataset.records:
        sides = record.boxes[:, 2:] - record.boxes[:, :2]
        boxes.append(record.boxes)
        shares.append(np.sqrt(np.prod(sides, axis=1) / (record.width * record.height)))
    return np.concatenate(boxes), np.concatenate(shares)


def _ratios(boxes):
    return (boxes[:, 3] - boxes[:, 1]) / (boxes[:, 2] - boxes[:, 0])


def _range(values):
    return [float(value) for value in np.quantile(values, (0, 0.5, 1))] if len(values) else None
