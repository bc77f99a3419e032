"""Look at the annotations of a set that can be read: classes, boxes, and anchors for them.

Letter: N objects.
"""

import difflib
from collections.abc import Iterator, Sequence

import numpy as np

from keras_frcnn.checking import box_scale
from keras_frcnn.checking.anchor_coverage import best_anchor_iou, better_factor, resized_objects
from keras_frcnn.checking.findings import Finding
from keras_frcnn.class_names import plain
from keras_frcnn.data import DetectionDataset, Record
from keras_frcnn.layers import AnchorGenerator

# Names at least so long and so like each other are likely one class in two spellings.
LONG, LIKE = 5, 0.9
# A class with fewer objects can hardly be learned.
FEW = 10
# Objects of the commonest class for each of the rarest, from which on balancing helps.
IMBALANCE = 20
# Pixels after the resize: a shorter side below is less than two cells of the finest map.
TINY = 8
# Share of the picture.
HUGE = 0.95
# Share of objects with an anchor of IoU 0.5 or more; with the usual anchors COCO has 0.8, blood cells 1.0.
COVERED = 0.7


def class_findings(dataset: DetectionDataset, trains: bool = True) -> list[Finding]:
    """Classes: oddly spelt, without objects, rare, out of balance; and images without objects.

    Args:
        dataset: the set.
        trains: whether it is trained on, and not only measured on.

    Returns:
        list of `Finding`.
    """
    names = dataset.class_names
    counts = objects_by_class(dataset)
    found = _misspelt(dataset)
    if not counts.sum():
        text = f"No object counts ({sum(len(record.ignore) for record in dataset.records)} are ignored)"
        severity = "error" if trains else "warning"
        found.append(Finding(severity, text, [], "Check the split and its annotations"))
        return found
    missing = [name for name, count in zip(names, counts) if not count]
    rare = [f"{name} ({count})" for name, count in zip(names, counts) if 0 < count < FEW]
    found += Finding.count("note", "class", "without objects", missing)
    remedy = f"{'They will hardly be found' if trains else 'Their scores say little'}; add pictures of them"
    found += Finding.count("note", "class", f"with fewer than {FEW} objects", rare, remedy)
    present = counts[counts > 0]
    ratio = present.max() / present.min()
    if trains and ratio >= IMBALANCE:
        most, least = names[int(counts.argmax())], names[int(np.where(counts, counts, np.inf).argmin())]
        text = f"{most} has {ratio:.0f} times the objects of {least}"
        found.append(Finding("note", text, [], "train.py --balance 0.1 shows rare classes more often"))
    ignored = [
        f"object {index} of {record.file}"
        for record in dataset.records
        for index in np.flatnonzero(record.ignore)
    ]
    found += Finding.count("note", "object", "marked as crowd or difficult, which count neither way", ignored)
    empty = [record.file for record in dataset.records if not len(record.labels)]
    return found + Finding.count("note", "image", "without objects", empty)


def objects_by_class(dataset: DetectionDataset) -> np.ndarray:
    """Numbers of objects that count, int `[K]` for K classes."""
    labels = [record.labels[~record.ignore] for record in dataset.records]
    return np.bincount(np.concatenate([np.zeros(0, np.int32), *labels]), minlength=len(dataset.class_names))


def box_findings(dataset: DetectionDataset, image_size: Sequence[int]) -> list[Finding]:
    """Boxes: in another format, twice the same, of nearly the whole picture, tiny after the resize.

    Args:
        dataset: the set.
        image_size: `(short side, limit of the long side)` that images are resized to, pixels.

    Returns:
        list of `Finding`.
    """
    twice, huge = [], []
    for record in dataset.records:
        twice += [f"object {index} of {record.file}" for index in repeated_objects(record)]
        share = np.prod(record.boxes[:, 2:] - record.boxes[:, :2], axis=1) / (record.width * record.height)
        huge += [f"object {index} of {record.file}" for index in np.flatnonzero(share >= HUGE)]
    boxes, _ = resized_objects(dataset, image_size)
    small = (boxes[:, 2:] - boxes[:, :2]).min(1) < TINY
    every = [
        f"object {index} of {record.file}"
        for record in dataset.records
        for index in np.flatnonzero(~record.ignore)
    ]
    tiny = [every[index] for index in np.flatnonzero(small)]
    narrow = f"less than {TINY} pixels wide or high at {image_size[0]}x{image_size[1]}"
    doubt = box_scale.doubt(dataset)
    return [
        *([Finding("warning", f"The boxes {doubt.what}: {doubt.figure}", undecided=True)] if doubt else []),
        *Finding.count("warning", "object", "annotated twice", twice, "Remove the second"),
        *Finding.count("note", "object", "with nearly the whole picture for a box", huge),
        *Finding.count("note", "object", narrow, tiny, "A larger --image-size makes them easier to find"),
    ]


def repeated_objects(record: Record) -> np.ndarray:
    """Places of the objects of a record that have the box and the label of an earlier one."""
    rows = np.column_stack([record.boxes, record.labels])
    _, first, which = np.unique(rows, axis=0, return_index=True, return_inverse=True)
    return np.flatnonzero(first[which.reshape(-1)] != np.arange(len(rows)))


def anchor_findings(
    dataset: DetectionDataset, image_size: Sequence[int], anchors: AnchorGenerator, cross_border: bool
) -> tuple[list[Finding], dict]:
    """Whether the anchors of a detector fit the objects.

    Args:
        dataset: the set.
        image_size: `(short side, limit of the long side)` of the detector, pixels.
        anchors: its anchors.
        cross_border: whether it uses anchors that cross the border of the image.

    Returns:
        list of `Finding`; and a dict for the statistics: "best_iou", one number for each object, "covered",
        the share of objects at IoU 0.5 or more, and "factor", by which the anchors should grow.
    """
    boxes, shapes = resized_objects(dataset, image_size)
    best = best_anchor_iou(anchors, boxes, shapes, cross_border)
    covered = float((best >= 0.5).mean()) if len(best) else 1.0
    factor = better_factor(anchors, boxes, shapes, cross_border) if covered < COVERED else 1.0
    figures = {"best_iou": best, "covered": covered, "factor": factor}
    if covered >= COVERED:
        return [], figures
    text = f"Only {covered:.0%} of the objects have an anchor of IoU 0.5 at {image_size[0]}x{image_size[1]}"
    remedy = "The objects have other shapes than the anchors; set other anchor_ratios"
    if factor != 1.0:
        sizes = [[round(side * factor, 1) for side in level] for level in anchors.sizes]
        larger = [round(side / factor) for side in image_size]
        size = f", or --image-size {larger[0]} {larger[1]}" if factor < 1 else ""
        remedy = f"Set anchor_sizes to {sizes} (`detector:` in a --config file){size}"
    return [Finding("warning", text, [], remedy)], figures


def _misspelt(dataset):
    """Findings about classes of nearly the same name, at the objects of the rarer one."""
    names, places = dataset.class_names, {}
    for record in dataset.records:
        for index, label in enumerate(record.labels):
            places.setdefault(names[label], []).append(f"object {index} of {record.file}")
    objects, unused = [], []
    for pair in twins(names):
        rare, common = sorted(pair, key=lambda name: len(places.get(name, ())))
        objects += [f"{place} ({rare}, like {common})" for place in places.get(rare, ())]
        unused += [] if rare in places else [f"{rare} and {common}"]
    remedy = "If the two are one, give both one name"
    return [
        *Finding.count(
            "warning", "object", "of a class with nearly the name of another", objects, remedy, True
        ),
        *Finding.count(
            "warning", "class", "without objects with nearly the name of another", unused, remedy, True
        ),
    ]


def twins(names: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Pairs of names that are likely one.

    Example:
        >>> list(twins(["raccoon", "dog", "racoon", "Dog"]))
        [('raccoon', 'racoon'), ('dog', 'Dog')]
    """
    words = [plain(name) for name in names]
    letters = [frozenset(word) for word in words]
    for place, other in enumerate(words):
        for index, one in enumerate(words[:place]):
            # These tests come first because comparing all names with all others takes minutes.
            near = abs(len(one) - len(other)) <= 2 and len(letters[index] ^ letters[place]) <= 2
            if one == other or (near and _alike(one, other)):
                yield names[index], names[place]


def _alike(one, other):
    # "lane1" and "lane2" are two on purpose, and so are "ripe" and "unripe", "male" and "female".
    if min(len(one), len(other)) < LONG or any(map(str.isdigit, one + other)) or one[0] != other[0]:
        return False
    return difflib.SequenceMatcher(None, one, other).ratio() >= LIKE
