"""The errors at the operating point, and which of them the page shows.

Letters: D detections, G objects of the set.
"""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_frcnn.data import Record
from keras_frcnn.evaluation import tide
from keras_frcnn.evaluation.matches import Matches

# Pictures of each kind of error, which bounds the page.
PER_KIND = 40
COLUMNS = ("kind", "image", "file", "number", "class", "true_class", "score", "iou", "box", "object_box")


def list_errors(matches: Matches, threshold: float, records: Sequence[Record]) -> list[dict[str, Any]]:
    """List the errors of the detections that score at least `threshold`, the worst of each kind first.

    Args:
        matches: `Matches`.
        threshold: score threshold, 0–1.
        records: the set.

    Returns:
        list of dicts: "kind" of `tide.KINDS`; "image", its id, "file" and "number", its place in the set;
        "class", of the detection, or of the object that was missed; "true_class", of the object, None for
        none; "score", of a missed object that of the detection below the threshold that found it, None for
        none; "iou" of detection and object; "box" and "object_box", four floats xyxy in pixels, None for
        none. Wrong detections come by falling score, missed objects by falling size.
    """
    sure = matches.above(threshold)
    errors = tide.classify(sure)
    wrong = np.flatnonzero(errors.kinds != tide.NONE)
    found = [_wrong(sure, errors, place) for place in wrong[np.argsort(-sure.scores[wrong], kind="stable")]]
    missed = np.flatnonzero(errors.missed)
    largest = missed[np.argsort(-matches.truth["area"][missed], kind="stable")]
    finders = matches.finders
    found += [_missed(matches, place, finders[place]) for place in largest]
    return [{**one, **_image(records[one["number"]])} for one in found]


def _image(record):
    return {"image": str(record.image_id), "file": record.file}


def _wrong(sure, errors, place):
    about = errors.objects[place]
    truth = sure.truth
    return {
        "kind": tide.KINDS[errors.kinds[place]],
        "number": int(sure.images[place]),
        "class": sure.class_names[sure.labels[place]],
        "true_class": sure.class_names[truth["labels"][about]] if about >= 0 else None,
        "score": float(sure.scores[place]),
        "iou": float(errors.overlaps[place]),
        "box": sure.boxes[place].tolist(),
        "object_box": truth["boxes"][about].tolist() if about >= 0 else None,
    }


def _missed(matches, place, finder):
    truth = matches.truth
    name = matches.class_names[truth["labels"][place]]
    return {
        "kind": tide.KINDS[tide.MISSED],
        "number": int(truth["images"][place]),
        "class": name,
        "true_class": name,
        "score": float(matches.scores[finder]) if finder >= 0 else None,
        "iou": 0.0,
        "box": None,
        "object_box": truth["boxes"][place].tolist(),
    }


def choose(errors: Sequence[dict[str, Any]], per_kind: int = PER_KIND) -> list[dict[str, Any]]:
    """Choose the errors to show: the worst of each kind, taking turns among the classes.

    Args:
        errors: list from `list_errors`.
        per_kind: most of each kind.

    Returns:
        list of dicts, in the same order.

    Example:
        >>> cat, dog = {"kind": "missed", "class": "cat"}, {"kind": "missed", "class": "dog"}
        >>> [one["class"] for one in choose([cat, cat, dog], per_kind=2)]
        ['cat', 'dog']
    """
    turns = defaultdict(int)
    ranked = defaultdict(list)
    for place, one in enumerate(errors):
        turn = turns[one["kind"], one["class"]]
        turns[one["kind"], one["class"]] += 1
        ranked[one["kind"]].append((turn, place))
    chosen = sorted(place for places in ranked.values() for _, place in sorted(places)[:per_kind])
    return [errors[place] for place in chosen]
