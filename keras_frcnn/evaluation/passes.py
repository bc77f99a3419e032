"""Detect in a row of images, with those of one shape in one pass.

Letters: B images, H height, W width.
"""

from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

import numpy as np

from keras_frcnn.detects import Detects

Name = TypeVar("Name")


def check_batch_size(detector: Detects, batch_size: int) -> None:
    """Raise a readable error unless the detector can take so many images in one pass.

    Raises:
        ValueError: the number is not positive, or the detector takes one image at a time.
    """
    if batch_size < 1:
        raise ValueError(f"The batch size is {batch_size}; give at least 1.")
    together = hasattr(detector, "detect_together") and getattr(detector, "takes_batches", True)
    if batch_size > 1 and not together:
        raise ValueError(f"{type(detector).__name__} takes one image at a time; leave the batch size out.")
    if batch_size > 1 and detector.needs_proposals:
        raise ValueError("A model on external proposals takes one image at a time; leave the batch size out.")


def detect_in_passes(
    detector: Any, named_images: Iterable[tuple[Name, np.ndarray]], batch_size: int = 1
) -> Iterator[tuple[Name, np.ndarray, dict[str, Any]]]:
    """Detect in images, in their order; consecutive ones of one shape share a pass.

    Args:
        detector: a model or an export; see `check_batch_size`.
        named_images: pairs of any name and an array `[H, W, 3]`, RGB 0–255.
        batch_size: largest number of images in a pass.

    Yields:
        The name, the image and its detections, a dict as from `detect`.

    Example:
        >>> for name, image, found in detect_in_passes(model, [("cells", image)], batch_size=8):
        ...     print(name, len(found["scores"]))
    """
    waiting = []
    for name, image in named_images:
        if waiting and waiting[0][1].shape != image.shape:
            yield from _detected(detector, waiting)
            waiting = []
        waiting.append((name, image))
        if len(waiting) == batch_size:
            yield from _detected(detector, waiting)
            waiting = []
    if waiting:
        yield from _detected(detector, waiting)


def _detected(detector, waiting):
    if len(waiting) == 1:
        answers = [detector.detect(waiting[0][1])]
    else:
        answers = detector.detect_together(np.stack([image for _, image in waiting]))
    for (name, image), answer in zip(waiting, answers):
        yield name, image, answer
