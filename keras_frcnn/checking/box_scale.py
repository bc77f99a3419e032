"""Whether the boxes of a set look like boxes in pixels of their pictures.

Reading refuses what is certain (`data/readers/box_formats.py`); this finds what is only likely.
"""

from typing import NamedTuple

import numpy as np

from keras_frcnn.data import DetectionDataset
from keras_frcnn.data.readers import box_formats

# On healthy sets at most 0.40 of the corners make a box inside the picture when they are read as corner and
# size.
LIKELY_SIZES = 0.98
FEWEST = 20
# On healthy sets (BCCD, raccoon, VOC, COCO, shapes) 1 % of the boxes reach their picture's far end within
# 0.97.
NEAR_EDGE, FAR_EDGE = 0.6, 0.85
# Boxes on a smaller scale also begin near the upper left corner, unlike objects that are all in the middle:
# the first percent and the median of their nearer corners, as parts of the sides.
FIRST, MIDDLE = 0.05, 0.25
# Sides, pixels, and the share of smaller objects: 0.01 on the smallest of COCO.
TINY, MOST_TINY = 3.0, 0.3


class Doubt(NamedTuple):
    """What is likely wrong with the boxes of a set.

    Attributes:
        likelihood: 0 to 1.
        what: words that follow "The boxes", with the remedy.
        figure: what shows it.
    """

    likelihood: float
    what: str
    figure: str


def doubt(dataset: DetectionDataset) -> Doubt | None:
    """Look for boxes in another format or on another scale than pixels of their picture.

    Returns:
        `Doubt`; None if nothing is striking, or the boxes are too few to tell.
    """
    records = dataset.records
    sides = [(record.width, record.height) for record in records]
    boxes, sides = box_formats.joined([record.boxes for record in records], sides)
    if len(boxes) < FEWEST:
        return None
    sizes = box_formats.inside(boxes, sides, "xyxy", "xywh").mean()
    far = float(np.quantile((boxes[:, 2:] / sides).max(axis=1), 0.99))
    starts = np.quantile(boxes[:, :2] / sides, [0.01, 0.5], axis=0)
    far_sizes = float(np.quantile(((boxes[:, :2] + boxes[:, 2:]) / sides).max(axis=1), 0.99))
    tiny = float((np.min(boxes[:, 2:] - boxes[:, :2], axis=1) < TINY).mean())
    if sizes >= LIKELY_SIZES and far_sizes >= FAR_EDGE:
        return Doubt(
            0.93,
            "look like x, y, width, height given as corners: objects seem to lie near the upper left corner "
            "only; write x + width and y + height as the second corner",
            f"{sizes:.0%} of {len(boxes)} boxes lie inside their pictures if their second corner is taken "
            "for a size, at most 40 % in other sets",
        )
    if far < NEAR_EDGE and (starts[0] < FIRST).all() and (starts[1] < MIDDLE).all():
        return Doubt(
            0.85,
            "fill only the upper left part of their pictures, as if they were fractions, percent, or of "
            "smaller copies; give pixels of the pictures as they are in the files",
            f"99 % of {len(boxes)} boxes end before {far:.0%} of their picture's sides",
        )
    if tiny >= MOST_TINY:
        return Doubt(
            0.8,
            f"are mostly smaller than {TINY:g} pixels, as if they were fractions or in another format; give "
            "pixels of the pictures as they are in the files",
            f"{tiny:.0%} of {len(boxes)} boxes have a side below {TINY:g} pixels",
        )
    return None
