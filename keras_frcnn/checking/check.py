"""Check data sets: read everything, and collect what is wrong."""

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from keras_frcnn.checking import pictures as picture_files
from keras_frcnn.checking.copies import copies_across, copies_within, files_of
from keras_frcnn.checking.findings import Finding
from keras_frcnn.checking.objects import anchor_findings, box_findings, class_findings
from keras_frcnn.checking.pictures import Picture
from keras_frcnn.checking.statistics import statistics
from keras_frcnn.data import DetectionDataset, readers
from keras_frcnn.data.readers.assembly import KEPT_APART, Reading
from keras_frcnn.data.readers.pictures import Pictures
from keras_frcnn.data.records import Collected
from keras_frcnn.layers import AnchorGenerator

# What tools write on purpose, such as Roboflow; there is nothing to mend.
MEANT = {("category", "that only groups the others left out")}


@dataclasses.dataclass
class Checked:
    """A set and what was found in it.

    Attributes:
        spec: str, its name.
        findings: list of `Finding`.
        dataset: what could be read; None if nothing could.
        changes: list of str, what reading leaves out or mends.
        pictures: dict from path to `Picture`; empty if the set has no files.
        annotated: set of str, paths of all pictures that the set names, with those that it cannot use.
        anchors: dict from `objects.anchor_findings`.
        figures: dict from `statistics.statistics`.
    """

    spec: str
    findings: list[Finding]
    dataset: DetectionDataset | None = None
    changes: list[str] = dataclasses.field(default_factory=list)
    pictures: dict[str, Picture] = dataclasses.field(default_factory=dict)
    annotated: set[str] = dataclasses.field(default_factory=set)
    anchors: dict[str, Any] = dataclasses.field(default_factory=dict)
    figures: dict[str, Any] = dataclasses.field(default_factory=dict)


def check(
    spec: str,
    reading: Reading,
    image_size: Sequence[int],
    anchors: AnchorGenerator,
    cross_border: bool,
    progress: Callable[[int, int], None],
    trains: bool = True,
) -> Checked:
    """Check one set.

    Args:
        spec: str, see `keras_frcnn.data.load`.
        reading: `Reading`, how the set will be read.
        image_size: `(short side, limit of the long side)` of the detector, pixels.
        anchors, cross_border: see `objects.anchor_findings`.
        progress: function that is called after each picture with the number done and the total.
        trains: whether the set is trained on, and not only measured on.

    Returns:
        `Checked`.
    """
    collected = Collected()
    try:
        dataset = readers.read(spec, "train", dataclasses.replace(reading, collected=collected))
    except (ValueError, OSError) as error:
        collected.refusals[str(error)] = None
        dataset = None
    findings = [Finding("error", sentence.rstrip(".")) for sentence in collected.refusals]
    for (noun, what), places in collected.notes.items():
        if (noun, what) == KEPT_APART:
            continue  # `class_findings` names their objects
        severity = "note" if (noun, what) in MEANT else "warning"
        findings += Finding.count(severity, noun, what, places)
    changes = [
        *(f"left out: {sentence}" for sentence in collected.refusals),
        *(f"{noun} {what}: {place}" for (noun, what), places in collected.notes.items() for place in places),
    ]
    found = Checked(spec, findings, dataset, changes, annotated=collected.pictures)
    if dataset is None:
        return found
    files = files_of(dataset)
    examined = picture_files.examine_all([*dict.fromkeys(files)], progress)
    found.pictures = {record.file: examined[file] for record, file in zip(dataset.records, files)}
    findings += picture_files.findings(list(found.pictures.values()))
    if found.pictures:
        findings += copies_within(dataset, found.pictures)
    findings += [*class_findings(dataset, trains), *box_findings(dataset, image_size)]
    further, found.anchors = anchor_findings(dataset, image_size, anchors, cross_border)
    findings += further
    found.figures = statistics(dataset, found.anchors)
    return found


def check_pairs(sets: Sequence[Checked]) -> list[Finding]:
    """Look for pictures of one set in another.

    Args:
        sets: results of `check`, the training set first.

    Returns:
        list of `Finding`.
    """
    found = []
    for place, second in enumerate(sets):
        for first in sets[:place]:
            if first.dataset and second.dataset and first.pictures and second.pictures:
                pictures = {**first.pictures, **second.pictures}
                found += copies_across(first.dataset, second.dataset, pictures)
    return found


def strays(sets: Sequence[Checked]) -> list[Finding]:
    """Pictures beside those of the sets that none of these uses."""
    used = {picture.path for checked in sets for picture in checked.pictures.values()}
    named = used.union(*(checked.annotated for checked in sets))
    folders = {Path(path).parent for path in used}
    beside = {str(path): None for folder in sorted(folders) for path in Pictures(folder).files}
    unused = [path for path in beside if path not in named]
    return Finding.count("note", "picture", "of the same folders not used", unused)
