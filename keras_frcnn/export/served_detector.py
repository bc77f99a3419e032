"""Read an exported SavedModel back.

Letters: H height, W width, N detections, K classes.
"""

import contextlib
import json
import logging
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from keras_frcnn import images as image_ops
from keras_frcnn.data.selective_search import checked_proposals
from keras_frcnn.detects import detect_each, refuse_proposals
from keras_frcnn.export.versions import versions


class ServedDetector:
    """An exported SavedModel with the results of its original model. `load` creates one.

    Args:
        path: folder that `saved_model` wrote.

    Attributes:
        class_names: tuple of the names of the K classes.
        needs_proposals: bool, whether the model works on external proposals.
        only_proposals: bool, whether it is an RPN.
        takes_batches: bool, whether `detect_together` works: not with external proposals.
        has_one_size: True, because `detect` takes no `image_size`.
        description: dict, the contents of `assets/model.json`.

    Raises:
        FileNotFoundError: there is no such folder.
        ValueError: it is not a SavedModel of keras_frcnn, or is damaged.

    Example:
        >>> detector = load("saved_models/cells/1")
        >>> detector.detect("cells.jpg")["labels"]
    """

    has_one_size = True

    def __init__(self, path):
        self.description = _read_description(Path(path))
        self.class_names = tuple(self.description["class_names"])
        # Keep the loaded object alive: the functions of a SavedModel lose its weights without it.
        self._loaded = _load(path)
        self._serve = self._loaded.signatures["serving_default"]
        self.only_proposals = self.description["model"] == "RPN"
        self.needs_proposals = "proposals" in self._serve.structured_input_signature[1]
        self.takes_batches = not self.needs_proposals

    @property
    def image_size(self):
        """`(short side, limit of the long side)` that images are resized to, pixels."""
        return tuple(self.description["image_size"])

    @property
    def max_detections(self):
        """The maximum number of detections per image."""
        return self.description["max_detections"]

    def detect(self, image, proposals=None, *, image_size: tuple[int, int] | None = None) -> Any:
        """Detect objects in images of any size; boxes are in pixels of the given image.

        Args:
            image: path, or array `[H, W, 3]` RGB 0–255, rounded to whole numbers; or a list of these.
            proposals: for models on external proposals: array `[P, 4]` xyxy, pixels, or a list of these; by
                default those of selective search.
            image_size: None, because an export has one size; `with_settings` and `saved_model` can set it.

        Returns:
            dict of arrays "boxes" float32 `[N, 4]` (pixels), "scores" float32 `[N]` (0–1, best first) and
            "labels" int32 `[N]` (0…K−1), without padding; for a list of images, a list of dicts.

        Raises:
            FileNotFoundError: there is no such file.
            ValueError: a file is not an image, the model makes its own proposals, or a size is given.
        """
        if image_size is not None:
            raise ValueError("An export has one image_size; leave it out, or export the model again with it.")
        if isinstance(image, list):
            return detect_each(self, image, proposals, None)
        if proposals is not None and not self.needs_proposals:
            refuse_proposals(self)
        image = image_ops.as_image(image)
        if not self.needs_proposals:
            return self.detect_together(image[None])[0]
        return self._answers(image[None], proposals=tf.constant(checked_proposals(image, proposals)[None]))[0]

    def detect_together(self, images) -> list[dict[str, Any]]:
        """Detect objects in images of one size in one pass, which keeps a GPU busier than one image does.

        Args:
            images: array `[B, H, W, 3]`, RGB 0–255, rounded to whole numbers.

        Returns:
            list of B dicts as from `detect`.

        Raises:
            ValueError: the model works on external proposals.
        """
        if self.needs_proposals:
            raise ValueError("A model on external proposals takes one image at a time; call detect.")
        return self._answers(np.asarray(images))

    def _answers(self, images, **inputs):
        """The answers of the signature for each image of a batch, as dicts from `detect`."""
        if images.dtype != np.uint8:
            images = np.clip(np.rint(images), 0, 255).astype(np.uint8)
        served = self._serve(input_tensor=tf.constant(images), **inputs)
        served = {name: value.numpy() for name, value in served.items()}
        height, width = images.shape[1:3]
        sides = np.array([height, width, height, width], np.float32)
        pixels = (served["detection_boxes"] * sides)[:, :, [1, 0, 3, 2]]
        labels = served["detection_classes"].astype(np.int32) - 1
        return [
            {
                "boxes": pixels[index, :count],
                "scores": served["detection_scores"][index, :count],
                "labels": labels[index, :count],
            }
            for index, count in enumerate(served["num_detections"].astype(int))
        ]


def load(path: str | PathLike) -> "ServedDetector":
    """Load a SavedModel that `saved_model` wrote; the same as `ServedDetector(path)`."""
    return ServedDetector(path)


def _load(path):
    try:
        with _gradients_not_missed():
            return tf.saved_model.load(str(path))
    except Exception as error:  # TensorFlow passes on any error of the graph, the index or the weights
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
        raise ValueError(f"{path} is incomplete or damaged ({reason}); copy or export it again.") from error


@contextlib.contextmanager
def _gradients_not_missed():
    """Silence TensorFlow's warning about missing custom gradients: nobody trains an export."""
    logger = logging.getLogger("absl")

    def passes(record):
        return "unsaved custom gradients" not in record.getMessage()

    logger.addFilter(passes)
    try:
        yield
    finally:
        logger.removeFilter(passes)


def _read_description(path):
    if not path.is_dir():
        raise FileNotFoundError(f"There is no SavedModel folder {path}; give the folder that export wrote.")
    advice = "give the folder that export wrote, the one with saved_model.pb in it"
    if not (path / "saved_model.pb").is_file():
        # Every export has this file, whatever its format.
        whole = [number for number, folder in versions(path).items() if (folder / "model_card.md").is_file()]
        if whole:
            advice = f"give one of its versions, such as {path / str(max(whole))}"
        elif (path / "last.keras").is_file():
            advice = f"give the model of this run, {path / 'last.keras'}"
        raise ValueError(f"{path} is no SavedModel; {advice}.")
    try:
        description = json.loads((path / "assets" / "model.json").read_text(encoding="utf-8"))
        if "keras_frcnn_version" in description:
            return description
    except (OSError, ValueError, TypeError):
        pass  # another program's SavedModel, as the error below says
    raise ValueError(
        f"{path} is a SavedModel, but not of keras_frcnn, whose assets/model.json is missing; {advice}."
    )
