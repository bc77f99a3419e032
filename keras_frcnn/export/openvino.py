"""Write a detector as OpenVINO's pair of files."""

from os import PathLike
from typing import Unpack

from keras_frcnn.export.portable import PortableSettings, write_portable
from keras_frcnn.extras import needed
from keras_frcnn.models import Detector
from keras_frcnn.models.detection import EXPORTERS
from keras_frcnn.onnx_writer import write_detector


def openvino(model: Detector, path: str | PathLike, **settings: Unpack[PortableSettings]) -> None:
    """Write a detector with its resize and normalization for OpenVINO.

    The folder gets `model.xml` and `model.bin`, otherwise it and the graph are those of `export.onnx`. The
    files are handed out only if OpenVINO finds with them what `detect` finds. It needs the extra `openvino`.

    Args:
        model, path, settings: see `export.onnx`.

    Raises:
        FileExistsError, ValueError: see `export.onnx`.

    Example:
        >>> openvino(keras_frcnn.FasterRCNN(["cell"], image_size=(96, 128)), "exports/cells")
        >>> keras_frcnn.export.PortableDetector("exports/cells/model.xml").detect("cells.jpg")["scores"]
    """
    write_portable(model, path, "openvino", _write, **settings)


def _write(model, half, folder):
    runtime, file = needed("openvino", "openvino"), folder / "model.xml"
    graph = write_detector(model, half, {}).SerializeToString()
    # Without a compression of its own, which would round anchors too.
    runtime.save_model(runtime.Core().read_model(graph), file, compress_to_fp16=False)
    return file


EXPORTERS["openvino"] = openvino
