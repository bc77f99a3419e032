"""Boxes in another format than the one that is expected of them.

Corners taken for corner and size, or the reverse, often still make boxes. The whole set gives them away: in
the right format all boxes lie inside their pictures, and in a wrong one many do not.
Letter: N boxes.
"""

from collections.abc import Sequence

import numpy as np

# For each format: its name in messages, a function from the four numbers to corners, and its inverse.
FORMATS = {
    "xyxy": (
        "x1, y1, x2, y2",
        lambda a, b, c, d: (a, b, c, d),
        lambda x1, y1, x2, y2: (x1, y1, x2, y2),
    ),
    "xywh": (
        "x, y, width, height",
        lambda x, y, w, h: (x, y, x + w, y + h),
        lambda x1, y1, x2, y2: (x1, y1, x2 - x1, y2 - y1),
    ),
    "cxcywh": (
        "center x, center y, width, height",
        lambda x, y, w, h: (x - w / 2, y - h / 2, x + w / 2, y + h / 2),
        lambda x1, y1, x2, y2: ((x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1),
    ),
}
# On the sets of BCCD, raccoon, VOC, COCO and the shapes, at least 0.998 of the boxes lie inside when they are
# read in their own format, and at most 0.87 (raccoon, whose objects are large) when they are read in another.
INSIDE = 0.98
# Pairs of number and share of wrong boxes from which on they are no single mistakes; those are clipped or
# refused one by one.
DOUBTFUL = (10, 0.3), (20, 0.1)
# The same for boxes that end before they begin, which nobody draws.
INVERTED = ((10, 0.05),)
# Boxes may be a little too large: pixels, or this share of the picture.
TOLERANCE, RELATIVE_TOLERANCE = 2.0, 0.01
# Side of a single box, below which it is too small to be an object's as a fraction of the picture.
SMALLEST_FRACTION = 0.05


def inside(boxes: np.ndarray, sides: np.ndarray, written: str, actual: str) -> np.ndarray:
    """Which boxes have an area and lie inside their picture when they are read in another format.

    Args:
        boxes: float `[N, 4]` xyxy, as they were read.
        sides: `[N, 2]`, width and height of the picture of each box, in the unit of the boxes.
        written: the format of `FORMATS` in which they were read.
        actual: the format to read the same numbers in.

    Returns:
        bool `[N]`.

    Example:
        >>> inside(np.array([[30.0, 40, 20, 10]]), np.array([[60, 60]]), "xyxy", "xywh").tolist()
        [True]
    """
    numbers = FORMATS[written][2](*np.asarray(boxes, np.float64).T)
    left, top, right, bottom = FORMATS[actual][1](*numbers)
    width, height = np.asarray(sides, np.float64).T
    slack = np.where(width <= 1, RELATIVE_TOLERANCE, TOLERANCE)
    fits = (left >= -slack) & (top >= -slack) & (right <= width + slack) & (bottom <= height + slack)
    return fits & (right > left) & (bottom > top)


def refuse_other_format(
    boxes: np.ndarray, sides: np.ndarray, written: str, name: str, by_argument: bool = False
) -> None:
    """Refuse boxes that are in another format than the one they were read in.

    Args:
        boxes, sides, written: see `inside`.
        name: name of the set, for the message.
        by_argument: whether the format is an argument, `box_format`.

    Raises:
        ValueError: many of them reach outside or are inverted, and none would in another format.
    """
    wrong = ~inside(boxes, sides, written, written)
    inverted = (boxes[:, 2:] < boxes[:, :2]).any(axis=1)
    pairs = ((wrong, DOUBTFUL), (inverted, INVERTED))
    if not any(kind.sum() >= n and kind.mean() >= share for kind, limits in pairs for n, share in limits):
        return
    shares = {other: inside(boxes, sides, written, other).mean() for other in FORMATS if other != written}
    actual = max(shares, key=lambda other: shares[other])
    if shares[actual] >= INSIDE:
        remedy = f'give box_format="{actual}"' if by_argument else f"write them as {FORMATS[written][0]}"
        raise ValueError(
            f"{name} has boxes in another format: read as {FORMATS[written][0]}, {wrong.sum()} of "
            f"{len(boxes)} end before they begin or reach outside their picture, but as {FORMATS[actual][0]} "
            f"{shares[actual]:.0%} of them lie inside; {remedy}."
        )


def joined(boxes: Sequence, sides: Sequence) -> tuple[np.ndarray, np.ndarray]:
    """The boxes of several pictures and, for each, the sides of its picture.

    Args:
        boxes: for each picture a list of boxes xyxy.
        sides: for each picture its (width, height).

    Returns:
        float64 `[N, 4]` and `[N, 2]`, without boxes that are not finite.
    """
    every = [np.asarray(one, np.float64).reshape(-1, 4) for one in boxes]
    counts = [len(one) for one in every]
    repeated = np.repeat(np.asarray(sides, np.float64).reshape(-1, 2), counts, axis=0)
    flat = np.concatenate([np.zeros([0, 4]), *every])
    finite = np.isfinite(flat).all(axis=1)
    return flat[finite], repeated[finite]


def refuse_fractions(boxes: Sequence, name: str, by_argument: bool) -> None:
    """Refuse boxes of a set that are fractions of their pictures.

    Args:
        boxes: list of N `[xmin, ymin, xmax, ymax]` that should be in pixels.
        name, by_argument: see `refuse_other_format`.

    Raises:
        ValueError: nearly all end inside the first pixel.
    """
    corners = _with_area(boxes)
    # Rounding may push a few a little above 1.
    if len(corners) and ((corners[:, 2:] <= 1.0).all(axis=1).mean() >= 0.99 or corners.max() < 1.01):
        remedy = (
            'give box_format="rel_xyxy"'
            if by_argument
            else "multiply x by the width and y by the height of each picture"
        )
        raise ValueError(f"{name} looks normalized: its boxes end before pixel 1; {remedy}.")


def refuse_fractions_alone(boxes: np.ndarray, name: str) -> None:
    """Refuse boxes of one picture that are fractions of it, among others in pixels.

    Args:
        boxes: `[N, 4]` xyxy that should be in pixels.
        name: name of the annotation, for the message.

    Raises:
        ValueError: all lie inside the first pixel, and not all end at its border, as a box of that pixel
            would. A single one that is also small as a fraction is kept.
    """
    corners = _with_area(boxes)
    ends = corners[:, 2:]
    if not len(ends) or ends.max() > 1 or not (ends % 1).any():
        return
    if len(ends) > 1 or (ends - corners[:, :2]).max() >= SMALLEST_FRACTION:
        raise ValueError(
            f"{name} looks normalized: its boxes end before pixel 1; multiply x by the width and y by the "
            "height of the picture, or remove them."
        )


def _with_area(boxes):
    """The boxes that are finite, have an area, and begin in their picture, as fractions do; float64.

    VOC's corners are one pixel less than the numbers in its files.
    """
    corners = np.asarray(boxes, np.float64).reshape(-1, 4)
    keep = np.isfinite(corners).all(axis=1) & (corners[:, 2:] > corners[:, :2]).all(axis=1)
    return corners[keep & (corners[:, :2] >= -1 - RELATIVE_TOLERANCE).all(axis=1)]
