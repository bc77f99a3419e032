"""Read an export for ONNX Runtime, OpenVINO or LiteRT back.

Letters: B images, H height, W width, N detections, K classes.
"""

import json
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from keras_frcnn import images as image_ops
from keras_frcnn.detects import detect_each, refuse_proposals
from keras_frcnn.export.runtimes import RUNTIMES


class PortableDetector:
    """An exported `.onnx`, `.tflite` or OpenVINO `.xml` file with the results of its original model.

    Args:
        file: the file, with the `model.json` that `export` wrote beside it.

    Attributes:
        class_names: tuple of the names of the K classes.
        needs_proposals: False.
        only_proposals: bool, whether it is an RPN.
        takes_batches: bool, whether `detect_together` takes several images: not with LiteRT.
        has_one_size: True, because `detect` takes no `image_size`.
        description: dict, the contents of `model.json`.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is not an export of keras_frcnn, is damaged, or its runtime is not installed.

    Example:
        >>> detector = PortableDetector("exports/cells/model.onnx")
        >>> detector.detect("cells.jpg")["labels"]
    """

    has_one_size = True
    needs_proposals = False

    def __init__(self, file: str | PathLike):
        file = Path(file)
        if file.suffix not in RUNTIMES:
            raise ValueError(f"{file} is no export; give a file that ends with {', '.join(RUNTIMES)}.")
        if not file.is_file():
            raise FileNotFoundError(f"There is no {file}; give a file that export wrote.")
        self.description = _read_description(file)
        self.class_names = tuple(self.description["class_names"])
        self.only_proposals = self.description["model"] == "RPN"
        self.takes_batches = file.suffix != ".tflite"
        try:
            self._run = RUNTIMES[file.suffix](file)
        except ValueError:
            raise
        except Exception as error:  # the runtimes have errors of their own for damaged files
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
            raise ValueError(f"{file} is damaged ({reason}); copy or export it again.") from error

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
            proposals: None, because the detector makes its own.
            image_size: None, because an export has one size.

        Returns:
            dict of arrays "boxes" float32 `[N, 4]` (pixels), "scores" float32 `[N]` (0–1, best first) and
            "labels" int32 `[N]` (0…K−1), without padding; a list of dicts for a list.

        Raises:
            FileNotFoundError: there is no such file.
            ValueError: a file is not an image, or proposals or a size are given.
        """
        if image_size is not None:
            raise ValueError("An export has one image_size; leave it out, or export the model again with it.")
        if isinstance(image, list):
            return detect_each(self, image, proposals, None)
        if proposals is not None:
            refuse_proposals(self)
        return self.detect_together(image_ops.as_image(image)[None])[0]

    def detect_together(self, images) -> list[dict[str, Any]]:
        """Detect objects in images of one size in one pass.

        Args:
            images: array `[B, H, W, 3]`, RGB 0–255, rounded to whole numbers.

        Returns:
            list of B dicts as from `detect`.

        Raises:
            ValueError: there are several images for a LiteRT file.
        """
        images = np.asarray(images)
        if len(images) > 1 and not self.takes_batches:
            raise ValueError("A LiteRT file takes one image at a time; leave the batch size out.")
        if images.dtype != np.uint8:
            images = np.clip(np.rint(images), 0, 255).astype(np.uint8)
        answer = self._run(images)
        return [
            {name: np.array(answer[name][row, :count]) for name in ("boxes", "scores", "labels")}
            for row, count in enumerate(answer["num_detections"].astype(int))
        ]


def _read_description(file):
    beside = file.with_name("model.json")
    try:
        description = json.loads(beside.read_text(encoding="utf-8"))
        if "keras_frcnn_version" in description:
            return description
    except (OSError, ValueError, TypeError):
        pass  # no file, or another program's, as the error below says
    raise ValueError(
        f"{beside}, which names the classes of {file.name}, is missing or damaged; keep the files of an "
        "export together."
    )
