"""The detections of a set as JSON, so that another model can be compared with them later.

Letters: N detections of an image, K classes.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from keras_frcnn.data import Record


def as_json(
    detections: Sequence[Mapping[str, np.ndarray]], records: Sequence[Record]
) -> list[dict[str, Any]]:
    """The detections of each image.

    Args:
        detections: list of dicts "boxes" `[N, 4]` xyxy pixels, "scores" `[N]`, "labels" `[N]`, one per image.
        records: list of `keras_frcnn.data.Record`, the images in the same order.

    Returns:
        list of dicts: "image", the image id as str; "boxes", "scores", "labels", lists. `from_json` gives the
        same float32 numbers back.

    Example:
        >>> found = {"boxes": np.ones([0, 4]), "scores": np.ones(0), "labels": np.ones(0, int)}
        >>> as_json([found], keras_frcnn.data.load("shapes@val").records[:1])
        [{'image': '1000000', 'boxes': [], 'scores': [], 'labels': []}]
    """
    return [
        {
            "image": str(record.image_id),
            "boxes": [_short(box) for box in np.asarray(found["boxes"]).reshape(-1, 4)],
            "scores": _short(found["scores"]),
            "labels": np.asarray(found["labels"]).tolist(),
        }
        for found, record in zip(detections, records)
    ]


def from_json(
    results: Mapping[str, Any], records: Sequence[Record], class_names: Sequence[str]
) -> list[dict[str, np.ndarray]]:
    """The detections that a report's JSON holds, for the images of a set.

    Args:
        results: dict with "per_image", from `as_json`, and "class_names"; or, of an earlier version, with
            "per_class", whose keys are the class names.
        records: list of `keras_frcnn.data.Record`, in any order of the images.
        class_names: K names; classes are matched by name.

    Returns:
        list of dicts "boxes" float32 `[N, 4]`, "scores" float32 `[N]`, "labels" int64 `[N]`, one per record.

    Raises:
        ValueError: it holds no detections, other images or other classes.
    """
    if "per_image" not in results:
        raise ValueError("it has no results of single images; write it with evaluate.py --report")
    names = list(results["class_names"] if "class_names" in results else results["per_class"])
    if set(names) != set(class_names):
        raise ValueError(f"it is about other classes, {', '.join(names)}")
    # Some names, such as "N/A", may be there several times.
    same = names == [*class_names]
    renumber = np.array([place if same else [*class_names].index(name) for place, name in enumerate(names)])
    wanted = [str(record.image_id) for record in records]
    # Sets that were joined may share ids; then only the order tells their images apart.
    if wanted == [one["image"] for one in results["per_image"]]:
        return [_arrays(one, renumber) for one in results["per_image"]]
    known = {one["image"]: one for one in results["per_image"]}
    if len(known) != len(results["per_image"]) or sorted(known) != sorted(wanted):
        raise ValueError("it is about other images; compare two models on the same set")
    return [_arrays(known[image], renumber) for image in wanted]


def _arrays(one, renumber):
    return {
        "boxes": np.array(one["boxes"], np.float32).reshape(-1, 4),
        "scores": np.array(one["scores"], np.float32),
        "labels": renumber[np.array(one["labels"], np.int64)],
    }


def _short(values):
    """Floats with as many digits as float32 needs."""
    return [float(str(value)) for value in np.asarray(values, np.float32)]
