"""Average precision by what objects are like: size, shape, crowding, truncation.

Letters: N boxes, D detections and G objects of the set, K classes.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from keras_frcnn.evaluation.coco import interpolated_precision
from keras_frcnn.evaluation.matches import Matches, overlapping

# A box this near the border of the image is taken for cut off, pixels.
BORDER = 1.0
# Lower bounds of the groups after the first, and the names of all.
Groups = tuple[tuple[float, ...], tuple[str, ...]]
SIZES: Groups = (
    (16, 32, 96, 288),
    ("below 16 px", "16 to 32 px", "32 to 96 px", "96 to 288 px", "288 px or more"),
)
SHAPES: Groups = (
    (1 / 3, 2 / 3, 3 / 2, 3),
    ("below 1:3", "1:3 to 2:3", "2:3 to 3:2", "3:2 to 3:1", "3:1 or more"),
)
OVERLAPS: Groups = (1, 2, 3), ("none", "1", "2", "3 or more")
COMPANY: Groups = (1, 5, 10, 20), ("none", "1 to 4", "5 to 9", "10 to 19", "20 or more")
BORDERS: Groups = (1,), ("inside", "touching the border")


def average_precision_by_group(matches: Matches) -> dict[str, list[dict[str, Any]]]:
    """Average precision at IoU 0.5 of objects that are alike.

    Detections are matched once, with all objects. A right detection counts in the group of its object and a
    wrong one in the group of its own box, so each counts once. (COCO matches anew for each range of sizes.)

    Args:
        matches: `Matches`.

    Returns:
        dict from an attribute to a list of dicts "group", "objects" and "ap50", the mean over the classes
        with objects in the group, None if there are none. The attributes: "size", the root of the area,
        pixels; "aspect_ratio", width to height; "overlapping", how many other objects share area with the
        box; "company", how many other objects the image has; "truncation", whether the box comes within a
        pixel of the border.

    Example:
        >>> average_precision_by_group(matches)["size"][0]["group"]
        'below 16 px'
    """
    attributes: dict[str, tuple[Callable, Groups]] = {
        "size": (_size, SIZES),
        "aspect_ratio": (_aspect_ratio, SHAPES),
        "overlapping": (_overlapping, OVERLAPS),
        "company": (_company, COMPANY),
        "truncation": (_touches, BORDERS),
    }
    return {name: _groups(matches, *attribute) for name, attribute in attributes.items()}


def _groups(matches, measure, groups):
    bounds, names = groups
    sides = matches.boxes[:, 2:] - matches.boxes[:, :2]
    mine = np.digitize(measure(matches, matches.images, matches.boxes, sides.prod(-1)), bounds)
    truth = matches.truth
    theirs = np.digitize(measure(matches, truth["images"], truth["boxes"], truth["area"]), bounds)
    hits = matches.hits
    mine[hits] = theirs[matches.objects[hits]]
    counted = hits | matches.wrong
    return [
        {"group": name, **_average_precision(matches, counted & (mine == place), theirs == place)}
        for place, name in enumerate(names)
    ]


def _average_precision(matches, counted, inside):
    labels, hits = matches.labels[counted], matches.hits[counted]
    classes = len(matches.class_names)
    objects = np.bincount(matches.truth["labels"][inside & matches.counting], minlength=classes)
    bounds = np.searchsorted(labels, np.arange(classes + 1))
    values = []
    for label in np.flatnonzero(objects):
        found = hits[None, bounds[label] : bounds[label + 1]]
        values.append(interpolated_precision(found, np.ones_like(found), objects[label]).mean())
    return {"objects": int(objects.sum()), "ap50": float(np.mean(values)) if values else None}


def _size(matches, images, boxes, area):
    return np.sqrt(np.maximum(area, 0))


def _aspect_ratio(matches, images, boxes, area):
    width, height = np.moveaxis(boxes[:, 2:] - boxes[:, :2], -1, 0)
    return width / np.maximum(height, 1e-6)


def _overlapping(matches, images, boxes, area):
    """The objects that share area with a box, without the one that the box itself is or should be."""
    counting = matches.counting
    others = matches.truth["images"][counting], matches.truth["boxes"][counting]
    first, _, _ = overlapping(images, boxes, *others, 0.0)
    return np.maximum(np.bincount(first, minlength=len(images)) - 1, 0)


def _company(matches, images, boxes, area):
    numbers = np.bincount(matches.truth["images"][matches.counting], minlength=len(matches.shapes))
    return np.maximum(numbers[images] - 1, 0)


def _touches(matches, images, boxes, area):
    height, width = matches.shapes[images].T
    near = (boxes[:, :2] <= BORDER).any(-1)
    return near | (boxes[:, 2] >= width - BORDER) | (boxes[:, 3] >= height - BORDER)
