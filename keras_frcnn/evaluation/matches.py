"""Every detection of a set with its verdict, every object with what found it: what the analyses begin with.

Letters: D detections and G objects of the set, N detections of an image, I images, K classes, T IoU
thresholds, P pairs of boxes.
"""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from keras_frcnn.data import Record
from keras_frcnn.evaluation import coco, coco_matching
from keras_frcnn.evaluation.coco_matching import HIT, MISS
from keras_frcnn.evaluation.voc import check_paired

# Pairs that are compared at a time, which bounds the memory.
BLOCK = 2_000_000


@dataclasses.dataclass(frozen=True, eq=False)
class Matches:
    """The detections of a set matched with its objects by the rule of COCO, objects of all sizes.

    Detections are sorted by class and then by score, best first; equal scores keep the order of the images.

    Attributes:
        class_names: tuple of the K names.
        shapes: int `[I, 2]`, height and width of the images, pixels.
        images: int `[D]`, numbers of the images.
        labels: int `[D]`, classes, 0…K−1.
        scores: float64 `[D]`, 0–1.
        boxes: float64 `[D, 4]` xyxy, pixels.
        verdicts: int8 `[D, T]`, HIT, MISS or NEITHER of `coco_matching` at IoU 0.50, 0.55 … 0.95.
        objects: int `[D]`, the object that a detection found at IoU 0.5, −1 for none.
        truth: dict of arrays of the objects: "images", "labels" int `[G]`, "boxes" float64 `[G, 4]`, "area"
            float64 `[G]` and "crowd" bool `[G]`, which marks what counts neither way.
    """

    class_names: tuple[str, ...]
    shapes: np.ndarray
    images: np.ndarray
    labels: np.ndarray
    scores: np.ndarray
    boxes: np.ndarray
    verdicts: np.ndarray
    objects: np.ndarray
    truth: dict[str, np.ndarray]

    @property
    def hits(self) -> np.ndarray:
        """Whether a detection is right at IoU 0.5: bool `[D]`."""
        return self.verdicts[:, 0] == HIT

    @property
    def wrong(self) -> np.ndarray:
        """Whether a detection is wrong at IoU 0.5: bool `[D]`; what lies on a crowd is neither."""
        return self.verdicts[:, 0] == MISS

    @property
    def counting(self) -> np.ndarray:
        """Whether an object must be found: bool `[G]`."""
        return ~self.truth["crowd"]

    @property
    def finders(self) -> np.ndarray:
        """The detection that found each object at IoU 0.5: int `[G]`, −1 for none."""
        finders = np.full(len(self.truth["labels"]), -1)
        finders[self.objects[self.hits]] = np.flatnonzero(self.hits)
        return finders

    def objects_per_class(self) -> np.ndarray:
        """The number of objects to find: int `[K]`."""
        return np.bincount(self.truth["labels"][self.counting], minlength=len(self.class_names))

    def above(self, threshold: float) -> "Matches":
        """The matches without the detections of lower scores; no verdict changes by that.

        Args:
            threshold: lowest score, 0–1.

        Returns:
            `Matches`.
        """
        keep = self.scores >= threshold
        names = ("images", "labels", "scores", "boxes", "verdicts", "objects")
        return dataclasses.replace(self, **{name: getattr(self, name)[keep] for name in names})


def match(
    detections: Sequence[Mapping[str, np.ndarray]], records: Sequence[Record], class_names: Sequence[str]
) -> Matches:
    """Match the detections of a set with its objects, as `coco.evaluate` does.

    Args:
        detections: list of dicts "boxes" `[N, 4]` xyxy pixels, "scores" `[N]`, "labels" `[N]`, one per image.
        records: list of `keras_frcnn.data.Record`, the images in the same order.
        class_names: K names that the labels index.

    Returns:
        `Matches`. The best 100 detections of each class in an image are in it.

    Raises:
        ValueError: the numbers of detections and records differ.

    Example:
        >>> records = keras_frcnn.data.load("shapes@val").records[:10]
        >>> found = [{"boxes": record.boxes, "scores": np.ones(len(record.boxes)), "labels": record.labels}
        ...          for record in records]
        >>> bool(match(found, records, ("circle", "cross", "ring", "square", "star", "triangle")).hits.all())
        True
    """
    check_paired(detections, records)
    found, truth, ranks = coco.sorted_set(detections, records)
    verdicts, objects = coco_matching.match_all_sizes(found, truth, ranks)
    order = np.lexsort((-found["scores"], found["labels"]))
    found = {name: values[order] for name, values in found.items()}
    shapes = np.array([(record.height, record.width) for record in records], np.int64).reshape(-1, 2)
    return Matches(
        class_names=tuple(class_names),
        shapes=shapes,
        **found,
        verdicts=verdicts[order],
        objects=np.where(verdicts[order, 0] == HIT, objects[order, 0], -1),
        truth=truth,
    )


def overlapping(
    images: np.ndarray, boxes: np.ndarray, other_images: np.ndarray, others: np.ndarray, least: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The pairs of two sets of boxes that overlap in the same image, whatever their classes.

    Args:
        images: int, numbers of the images of the first boxes.
        boxes: float64 `[…, 4]` xyxy, pixels, the first boxes.
        other_images, others: the same of the second boxes.
        least: IoU, 0–1; pairs of a lower one are left out, and so are pairs that share no area.

    Returns:
        first, second: int `[P]`, indices; sorted by the first.
        overlaps: float64 `[P]`, IoU.

    Example:
        >>> one, square = np.zeros(1, int), np.array([[0.0, 0, 2, 2]])
        >>> [part.tolist() for part in overlapping(one, square, one, square + [1, 0, 1, 0], 0.1)]
        [[0], [0], [0.3333333333333333]]
    """
    order = np.argsort(other_images, kind="stable")
    starts, ends = (np.searchsorted(other_images[order], images, side) for side in ("left", "right"))
    totals = np.cumsum(ends - starts)
    pairs = [(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0))]
    block = 0
    while block < len(images):
        done = totals[block - 1] if block else 0
        following = max(block + 1, int(np.searchsorted(totals, done + BLOCK)))
        counts = (ends - starts)[block:following]
        first = np.repeat(np.arange(block, block + len(counts)), counts)
        places = np.arange(len(first)) + np.repeat(
            starts[block:following] - np.cumsum(counts) + counts, counts
        )
        second = order[places]
        overlaps = coco_matching.paired_overlaps(boxes[first], others[second], np.zeros(len(first), bool))
        keep = (overlaps >= least) & (overlaps > 0)
        pairs.append((first[keep], second[keep], overlaps[keep]))
        block = following
    first, second, overlaps = (np.concatenate(part) for part in zip(*pairs))
    return first, second, overlaps
