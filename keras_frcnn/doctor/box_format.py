"""Whether the boxes of the sets look like boxes in pixels of their pictures."""

import math
import shlex

from keras_frcnn.checking import box_scale
from keras_frcnn.doctor.case import Case
from keras_frcnn.doctor.findings import Finding, Result

# What reading did to boxes: the share from which on it is a cause, and how surely. On healthy sets it drops
# 0.0005 and clips none; with x and y exchanged it drops 0.16 and clips 0.22 of BCCD, clips 0.65 of raccoon.
# Clipping is less sure: some tools write boxes that are a few pixels too long.
MENDED = {"dropped": (0.1, 0.82), "clipped": (0.2, 0.5)}


def check_box_format(case: Case) -> Result:
    """Look for boxes in another format or on another scale than pixels of their picture."""
    figures, findings = [], []
    for role, dataset in case.sets.items():
        count = sum(len(record.labels) for record in dataset.records)
        doubt = box_scale.doubt(dataset)
        if doubt is not None:
            sentence = f"The boxes of {dataset.name} {doubt.what}."
            command = case.check_data(role)
            findings.append(Finding("box format", doubt.likelihood, sentence, doubt.figure, command))
        few = "too few to tell" if count < box_scale.FEWEST else "like boxes in pixels"
        figures.append(f"{role} set: {doubt.figure if doubt else f'{count} boxes, {few}'}")
    return Result("; ".join(figures), [*findings, *_mended(case)])


def _mended(case):
    """Findings about boxes that reading had to drop or to clip."""
    for mended in case.mended:
        named = [dataset for dataset in case.sets.values() if dataset.name == mended.name]
        # A set that is joined with others is known by all their names together.
        sets = named or case.sets.values()
        total = sum(len(record.labels) for dataset in sets for record in dataset.records)
        most, likelihood = MENDED.get(mended.what.split()[-1], (math.inf, 0.0))
        if mended.noun == "box" and mended.count >= most * total:
            yield Finding(
                "box format",
                likelihood,
                f"Many boxes of {mended.name} had to be mended ({mended.what}), as if they were in another "
                "format, had x and y exchanged, or were of pictures of another size; write pixels of the "
                "pictures as they are in the files.",
                f"{mended.count} boxes; {total} are left",
                f"python -m keras_frcnn check-data {shlex.quote(mended.name)}",
            )
