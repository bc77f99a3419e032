"""Run a detector over a data set, and time it.

Letter: N detections of an image.
"""

import dataclasses
import time
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from keras_frcnn.data import DetectionDataset
from keras_frcnn.detects import Detects
from keras_frcnn.names import remedy


@dataclasses.dataclass(frozen=True, eq=False)
class Found:
    """What a detector found in a set.

    Attributes:
        detections: list of dicts as from `detect`, one per image.
        seconds: list of float, the time of `detect` on each image, without decoding.
    """

    detections: list[dict[str, np.ndarray]]
    seconds: list[float]

    @property
    def steady_seconds(self) -> list[float]:
        """`seconds` without the first call, which traces and allocates, unless it is the only one."""
        return self.seconds[1:] or self.seconds


def detect_set(
    detector: Detects,
    dataset: DetectionDataset,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Found:
    """Run a detector over a data set.

    Classes are matched by name; detections of classes that the set does not have are left out.

    Args:
        detector: a model, an export or another `detects.Detects`. A detector that `needs_proposals` gets the
            proposals of the set, if it has any. Those of an `RPN` keep what it gives.
        dataset: `DetectionDataset`, from `keras_frcnn.data.load`.
        progress: function called after each image with the number of images done and the total.

    Returns:
        `Found`, with labels of the set.

    Raises:
        ValueError: the set has no images, or has objects of a class that the detector does not know.

    Example:
        >>> found = detect_set(model, keras_frcnn.data.load("shapes@val"))
        >>> len(found.detections)
        200
    """
    if not (hasattr(dataset, "records") and hasattr(dataset, "images")):
        raise ValueError(
            "A detector is scored on a data set as keras_frcnn.data.load gives it, not on a "
            f"{type(dataset).__name__}; leave out .batches(...)."
        )
    if not len(dataset.records):
        raise ValueError(f"{dataset.name} has no images; choose another split to evaluate on.")
    classless = getattr(detector, "only_proposals", False)
    renumber = None if classless else _renumbering(detector.class_names, dataset)
    inputs: Iterable[tuple] = ((image,) for image in dataset.images())
    if not classless and dataset.proposals is not None and getattr(detector, "needs_proposals", False):
        inputs = zip(dataset.images(), dataset.proposals, strict=True)
    found = Found([], [])
    for image, *proposals in inputs:
        image = np.asarray(image)
        start = time.perf_counter()
        answer: Any = detector.detect(image, *proposals)
        found.seconds.append(time.perf_counter() - start)
        found.detections.append(answer if renumber is None else _renumbered(answer, renumber))
        progress(len(found.seconds), len(dataset.records))
    return found


def _renumbering(class_names, dataset):
    # Map each label of the detector to the label of the set; −1 for a class that the set lacks.
    known = {name: label for label, name in enumerate(dataset.class_names)}
    counted = {int(label) for record in dataset.records for label in record.labels[~record.ignore]}
    missing = [name for name, label in known.items() if label in counted and name not in class_names]
    if missing:
        raise ValueError(
            f"{dataset.name} has objects of {', '.join(missing)}, which this detector does not know (only "
            f"{', '.join(class_names)}); "
            + remedy(missing[0], class_names, "evaluate it on a set with its own classes.")
        )
    return np.array([known.get(name, -1) for name in class_names])


def _renumbered(found, renumber):
    labels = renumber[np.asarray(found["labels"], np.int64)]
    keep = labels >= 0
    return {
        "boxes": np.asarray(found["boxes"])[keep],
        "scores": np.asarray(found["scores"])[keep],
        "labels": labels[keep],
    }
