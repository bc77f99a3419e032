"""Match detections to objects by the rule of COCO, for a whole set at once.

Flat dicts of arrays, sorted by class and then by image, hold a set: detections have "labels", "images" and
"boxes"; objects also have "area" and "crowd". Letters: D detections, G objects, A area ranges, T IoU
thresholds, P pairs of a detection and an object that may match.
"""

import numpy as np

IOUS = np.linspace(0.5, 0.95, 10)
# Ranges for all, small, medium and large objects, square pixels; both ends included.
AREAS = np.array([[0, 1e10], [0, 32**2], [32**2, 96**2], [96**2, 1e10]])
MISS, HIT, NEITHER = 0, 1, -1


def match(found, truth, ranks):
    """Judge every detection.

    The detections of a class in an image choose in the order of their ranks. Each takes the free object with
    the highest IoU; objects that count come before those that do not, and crowds are always free. A detection
    that matches no object and lies outside the area range is neither right nor wrong.

    Args:
        found, truth: dicts of detections and objects, as in the docstring of this module.
        ranks: int `[D]`, from 0 for the best detection of a class in an image.

    Returns:
        int8 `[D, A, T]`: HIT, MISS or NEITHER.
    """
    outside = ~_within(_areas(found["boxes"]))
    verdicts = np.repeat(np.where(outside, NEITHER, MISS).astype(np.int8)[:, :, None], len(IOUS), axis=2)
    wanted = counting(truth)
    for claimants, area, threshold, objects in _claims(found, truth, ranks, wanted):
        verdicts[claimants, area, threshold] = np.where(wanted[objects, area], HIT, NEITHER)
    return verdicts


def match_all_sizes(found, truth, ranks):
    """Judge every detection on objects of all sizes, and tell which object it found.

    Args:
        found, truth, ranks: as in `match`.

    Returns:
        int8 `[D, T]`: HIT, MISS or NEITHER; and int64 `[D, T]`: the object, −1 for none.
    """
    verdicts = np.full([len(ranks), len(IOUS)], MISS, np.int8)
    objects = np.full(verdicts.shape, -1)
    wanted = ~truth["crowd"][:, None]
    for claimants, _, threshold, claimed in _claims(found, truth, ranks, wanted):
        verdicts[claimants, threshold] = np.where(wanted[claimed, 0], HIT, NEITHER)
        objects[claimants, threshold] = claimed
    return verdicts, objects


def _claims(found, truth, ranks, wanted):
    """Let the detections choose; yield the claims of each rank.

    Args:
        found, truth, ranks: as in `match`.
        wanted: bool `[G, A]`, whether each object must be found.

    Yields:
        four int arrays, one element for each claim: detection, area range, threshold, object.
    """
    taken = np.zeros([*wanted.shape, len(IOUS)], bool)
    detections, objects, overlaps = _pairs(found, truth)
    order = np.lexsort((overlaps, detections, ranks[detections]))
    detections, objects, overlaps = detections[order], objects[order], overlaps[order]
    bounds = np.searchsorted(ranks[detections], np.arange(ranks.max(initial=-1) + 2))
    # Detections of one rank differ in image or class, so all of them choose at once.
    for rows in map(slice, bounds, bounds[1:]):
        chosen, first = np.unique(detections[rows], return_index=True)
        if not len(chosen):
            continue
        candidates = objects[rows]
        free = (~taken[candidates] | truth["crowd"][candidates, None, None]) & (
            overlaps[rows, None, None] >= IOUS
        )
        # Pairs are sorted by IoU and ties by object; like the reference, take the last one.
        places = np.arange(1, len(candidates) + 1)[:, None] + len(candidates) * wanted[candidates]
        best = np.maximum.reduceat(np.where(free, places[:, :, None], 0), first)
        detection, area, threshold = np.nonzero(best)
        winner = candidates[(best[detection, area, threshold] - 1) % len(candidates)]
        taken[winner, area, threshold] = True
        yield chosen[detection], area, threshold, winner


def flat_detections(detections):
    """Detections of a set, a list of dicts as from `detect`, as one dict of arrays, image by image."""
    counts = [len(found["scores"]) for found in detections]
    return {
        "images": np.repeat(np.arange(len(counts)), counts),
        "labels": _joined([found["labels"] for found in detections], np.int64),
        "scores": _joined([found["scores"] for found in detections], np.float64),
        "boxes": _joined([found["boxes"] for found in detections], np.float64, 4),
    }


def flat_objects(records):
    """Objects of a set, a list of `Record`, as one dict of arrays, image by image."""
    counts = [len(record.labels) for record in records]
    return {
        "images": np.repeat(np.arange(len(counts)), counts),
        "labels": _joined([record.labels for record in records], np.int64),
        "boxes": _joined([record.boxes for record in records], np.float64, 4),
        "area": _joined([record.area for record in records], np.float64),
        "crowd": _joined([record.ignore for record in records], bool),
    }


def ordered(part, keys):
    """A dict of arrays with all rows in the order of the keys, as `np.lexsort` takes them."""
    order = np.lexsort(keys)
    return {name: values[order] for name, values in part.items()}


def ranks(labels, images):
    """Places within each class of each image: int `[D]` from 0, for labels and images in sorted order."""
    places = np.arange(len(labels))
    same = (labels == np.roll(labels, 1)) & (images == np.roll(images, 1)) & (places > 0)
    return places - np.maximum.accumulate(np.where(same, 0, places))


def counting(truth):
    """Whether each object must be found: bool `[G, A]`; False for crowds and objects of another size."""
    return _within(truth["area"]) & ~truth["crowd"][:, None]


def _within(area):
    return (area[:, None] >= AREAS[:, 0]) & (area[:, None] <= AREAS[:, 1])


def _areas(boxes):
    return (boxes[:, 2:] - boxes[:, :2]).prod(-1)


def _pairs(found, truth):
    """Pairs of one class and image that overlap enough: indices, two int `[P]`, and IoU, float64 `[P]`."""
    images = max(found["images"].max(initial=0), truth["images"].max(initial=0)) + 1
    mine, theirs = (part["labels"] * images + part["images"] for part in (found, truth))
    starts, ends = np.searchsorted(theirs, mine, "left"), np.searchsorted(theirs, mine, "right")
    counts = ends - starts
    detections = np.repeat(np.arange(len(mine)), counts)
    objects = np.arange(len(detections)) + np.repeat(starts - np.cumsum(counts) + counts, counts)
    overlaps = paired_overlaps(found["boxes"][detections], truth["boxes"][objects], truth["crowd"][objects])
    enough = overlaps >= IOUS[0]
    return detections[enough], objects[enough], overlaps[enough]


def paired_overlaps(boxes, others, crowd):
    """IoU of pairs of boxes `[P, 4]`; for a crowd, the share of the first; 0 without area: float64 `[P]`."""
    sides = np.minimum(boxes[:, 2:], others[:, 2:]) - np.maximum(boxes[:, :2], others[:, :2])
    shared = np.maximum(sides, 0.0).prod(-1)
    union = np.where(crowd, _areas(boxes), _areas(boxes) + _areas(others) - shared)
    return np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)


def _joined(parts, dtype, *row):
    return np.concatenate([np.zeros([0, *row], dtype), *(np.reshape(part, [-1, *row]) for part in parts)])
