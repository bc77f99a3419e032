"""Whether the boxes of the sets look like boxes in pixels of their pictures.

Reading refuses what is certain (`data/readers/box_formats.py`); this finds what is only likely.
"""

import math
import shlex

import numpy as np

from keras_frcnn.data import DetectionDataset
from keras_frcnn.data.readers import box_formats
from keras_frcnn.doctor.case import Case
from keras_frcnn.doctor.findings import Finding, Result

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
# What reading did to boxes: the share from which on it is a cause, and how surely. On healthy sets it drops
# 0.0005 and clips none; with x and y exchanged it drops 0.16 and clips 0.22 of BCCD, clips 0.65 of raccoon.
# Clipping is less sure: some tools write boxes that are a few pixels too long.
MENDED = {"dropped": (0.1, 0.82), "clipped": (0.2, 0.5)}
# Sides, pixels, and the share of smaller objects: 0.01 on the smallest of COCO.
TINY, MOST_TINY = 3.0, 0.3


def check_box_format(case: Case) -> Result:
    """Look for boxes in another format or on another scale than pixels of their picture."""
    figures, findings = [], []
    for role, dataset in case.sets.items():
        boxes, sides = _boxes(dataset)
        if len(boxes) < FEWEST:
            figures.append(f"{role} set: {len(boxes)} boxes are too few to tell")
            continue
        sizes = box_formats.inside(boxes, sides, "xyxy", "xywh").mean()
        figures.append(f"{role} set: {sizes:.0%} of the corners could be corner and size")
        far = float(np.quantile((boxes[:, 2:] / sides).max(axis=1), 0.99))
        starts = np.quantile(boxes[:, :2] / sides, [0.01, 0.5], axis=0)
        far_sizes = float(np.quantile(((boxes[:, :2] + boxes[:, 2:]) / sides).max(axis=1), 0.99))
        tiny = float((np.min(boxes[:, 2:] - boxes[:, :2], axis=1) < TINY).mean())
        if sizes >= LIKELY_SIZES and far_sizes >= FAR_EDGE:
            findings.append(
                _finding(
                    case,
                    role,
                    0.93,
                    "look like x, y, width, height given as corners: objects seem to lie near the upper left "
                    "corner only; write x + width and y + height as the second corner",
                    f"{sizes:.0%} of {len(boxes)} boxes lie inside their pictures if their second corner "
                    "is taken for a size, at most 40 % in other sets",
                )
            )
        elif far < NEAR_EDGE and (starts[0] < FIRST).all() and (starts[1] < MIDDLE).all():
            findings.append(
                _finding(
                    case,
                    role,
                    0.85,
                    "fill only the upper left part of their pictures, as if they were fractions, percent, "
                    "or of smaller copies; give pixels of the pictures as they are in the files",
                    f"99 % of {len(boxes)} boxes end before {far:.0%} of their picture's sides",
                )
            )
        elif tiny >= MOST_TINY:
            findings.append(
                _finding(
                    case,
                    role,
                    0.8,
                    f"are mostly smaller than {TINY:g} pixels, as if they were fractions or in another "
                    "format",
                    f"{tiny:.0%} of {len(boxes)} boxes have a side below {TINY:g} pixels",
                )
            )
    return Result("; ".join(figures), [*findings, *_mended(case)])


def _finding(case, role, likelihood, what, figure):
    return Finding(
        "box format",
        likelihood,
        f"The boxes of {case.sets[role].name} {what}.",
        figure,
        case.check_data(role),
    )


def _mended(case):
    """Findings about boxes that reading had to drop or to clip."""
    for mended in case.mended:
        total = sum(len(record.labels) for each in case.sets.values() for record in each.records)
        most, likelihood = MENDED.get(mended.what.split()[-1], (math.inf, 0.0))
        if mended.noun == "box" and mended.count >= most * total:
            yield Finding(
                "box format",
                likelihood,
                f"Many boxes of {mended.name} had to be mended ({mended.what}), as if they were in another "
                "format, had x and y exchanged, or were of pictures of another size; write pixels of the "
                "pictures as they are in the files.",
                f"{mended.count} boxes of about {total}",
                f"python -m keras_frcnn check-data {shlex.quote(mended.name)}",
            )


def _boxes(dataset: DetectionDataset):
    records = dataset.records
    sides = [(record.width, record.height) for record in records]
    return box_formats.joined([record.boxes for record in records], sides)
