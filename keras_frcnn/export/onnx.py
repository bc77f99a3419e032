"""Write a detector as an ONNX file.

Letters: B images, H height, W width, D detections.
"""

import json
from os import PathLike
from typing import Unpack

from keras_frcnn.export.description import described
from keras_frcnn.export.portable import PortableSettings, write_portable
from keras_frcnn.models import Detector
from keras_frcnn.models.detection import EXPORTERS
from keras_frcnn.onnx_writer import write_detector


def onnx(model: Detector, path: str | PathLike, **settings: Unpack[PortableSettings]) -> None:
    """Write a detector with its resize and normalization as an ONNX file of native operators (opset 17).

    The folder gets `model.onnx`, `labels.txt` (one class per line), `model.json` (facts for clients) and
    `model_card.md`. The graph takes "images", uint8 `[B, H, W, 3]`, RGB, images of one shape and any size,
    and returns "boxes" float32 `[B, D, 4]` (xyxy, pixels of the images as given), "scores" float32 `[B, D]`
    and "labels" int32 `[B, D]`, padded with −1, and "num_detections" int32 `[B]`. The file is handed out only
    if ONNX Runtime finds with it what `detect` finds. It needs the extra `onnx`.

    Args:
        model: `FasterRCNN` or `CascadeRCNN`; it is not changed.
        path: folder to create.
        **settings: see `PortableSettings`; `precision="float16"` halves the file.

    Raises:
        FileExistsError: `path` already exists.
        ValueError: a setting is not possible, a layer has no form in ONNX, a package is missing, or the file
            disagrees with the model.

    Example:
        >>> onnx(keras_frcnn.FasterRCNN(["cell"], image_size=(96, 128)), "exports/cells")
        >>> keras_frcnn.export.PortableDetector("exports/cells/model.onnx").detect("cells.jpg")["scores"]
    """
    write_portable(model, path, "onnx", _write, **settings)


def _write(model, half, folder):
    file = folder / "model.onnx"
    metadata = {"description": json.dumps(described(model))}
    file.write_bytes(write_detector(model, half, metadata).SerializeToString())
    return file


EXPORTERS["onnx"] = onnx
