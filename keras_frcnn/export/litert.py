"""Write a detector as a LiteRT file.

Letters: H height, W width, D detections.
"""

import tempfile
from os import PathLike
from pathlib import Path
from typing import Unpack

import tensorflow as tf

from keras_frcnn.export.portable import PortableSettings, write_portable
from keras_frcnn.models import Detector
from keras_frcnn.models.detection import EXPORTERS
from keras_frcnn.ops import kernels

IMAGE = tf.TensorSpec([1, None, None, 3], tf.uint8, name="images")


def litert(model: Detector, path: str | PathLike, **settings: Unpack[PortableSettings]) -> None:
    """Write a detector with its resize and normalization as a LiteRT (TensorFlow Lite) file.

    The folder gets `model.tflite`, otherwise it and the arrays are those of `export.onnx`, one image at a
    time. The file has only built-in operations and is handed out only if LiteRT finds with it what `detect`
    finds. It needs the extra `litert`.

    Args:
        model: `FasterRCNN`, `CascadeRCNN` or `RPN`; it is not changed.
        path, settings: see `export.onnx`.

    Raises:
        FileExistsError, ValueError: see `export.onnx`.

    Example:
        >>> litert(keras_frcnn.FasterRCNN(["cell"], image_size=(96, 128)), "exports/cells")
        >>> keras_frcnn.export.PortableDetector("exports/cells/model.tflite").detect("cells.jpg")["scores"]
    """
    write_portable(model, path, "litert", _write, **settings)


def _write(model, half, folder):
    @tf.function(input_signature=[IMAGE], autograph=False)
    def detect(images):
        # Gathers and loops convert; TensorFlow's own suppression and sparse matrices do not.
        with kernels.use("xla"):
            return model.detect_batch(images)

    module = tf.Module()
    module.detect, module.model = detect, model.weights
    file = folder / "model.tflite"
    with tempfile.TemporaryDirectory() as saved:
        tf.saved_model.save(
            module,
            saved,
            signatures={"detect": detect},
            options=tf.saved_model.SaveOptions(experimental_custom_gradients=False),
        )
        converter = tf.lite.TFLiteConverter.from_saved_model(saved, signature_keys=["detect"])
        if half:
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
            converter.target_spec.supported_types = [tf.float16]
        file.write_bytes(converter.convert())
    return file


EXPORTERS["litert"] = litert
