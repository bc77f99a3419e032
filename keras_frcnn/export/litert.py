"""Write a detector as a LiteRT file.

Letters: H height, W width, D detections.
"""

import tempfile
from os import PathLike
from typing import Unpack

import tensorflow as tf

from keras_frcnn import images as image_ops
from keras_frcnn.export.portable import PortableSettings, write_portable
from keras_frcnn.export.variables import variables
from keras_frcnn.images import float64_sides
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
    if model.needs_proposals:
        raise ValueError(
            f"{type(model).__name__} takes proposals, which a LiteRT file does not; export a SavedModel."
        )
    write_portable(model, path, "litert", _write, **settings)


def _write(model, half, folder):
    @tf.function(input_signature=[IMAGE], autograph=False)
    def detect(images):
        # Gathers and loops convert; TensorFlow's own suppression and sparse matrices do not.
        with kernels.use("xla"):
            shape = _resized(images, model.resizing)
            pixels = image_ops.resize(tf.cast(images, tf.float32), shape)
            if model.canvas:
                pixels = image_ops.pad(pixels, *[model.resizing.canvas_side] * 2)
            answer = model.infer({"images": pixels, "image_shapes": shape[None]})
            return model.resizing.restore(answer, shape[None], tf.shape(images)[None, 1:3])

    module = tf.Module()
    module.detect, module.weights = detect, variables(model)
    with tempfile.TemporaryDirectory(dir=folder) as saved:
        options = tf.saved_model.SaveOptions(experimental_custom_gradients=False)
        tf.saved_model.save(module, saved, signatures={"detect": detect}, options=options)
        # Only a SavedModel passes the names of the outputs on.
        converter = tf.lite.TFLiteConverter.from_saved_model(saved, signature_keys=["detect"])
        if half:
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
            converter.target_spec.supported_types = [tf.float16]
        converted = converter.convert()
    file = folder / "model.tflite"
    file.write_bytes(converted)
    return file


def _resized(images, resizing):
    """`images.resized_shape`, int32 `[2]`; LiteRT divides no wider integers and has no float64."""
    shape = tf.shape(images)[1:3]
    short, long = resizing.image_size
    small, large = tf.reduce_min(shape), tf.reduce_max(shape)
    fits = large * short <= long * small
    target, side = tf.where(fits, short, long), tf.where(fits, small, large)
    sides = shape * target // side
    if resizing.rounding == "float64":
        place = tf.minimum(side, float64_sides.LARGEST)
        tables = (float64_sides.shortfalls(limit) for limit in (short, long))
        lacks = tf.where(fits, *(tf.gather(table, place) for table in tables))
        falls = lacks * tf.cast(shape, tf.float32) > tf.gather(float64_sides.bounds(long), sides)
        sides -= tf.where(falls & (sides * side == shape * target), 1, 0)
    return tf.maximum(sides, 1)


EXPORTERS["litert"] = litert
