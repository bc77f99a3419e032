"""Export detectors in four formats, read the exports back, and query a server that serves them."""

from keras_frcnn.export.client import ServingClient
from keras_frcnn.export.litert import litert
from keras_frcnn.export.onnx import onnx
from keras_frcnn.export.openvino import openvino
from keras_frcnn.export.portable import PortableSettings
from keras_frcnn.export.portable_detector import PortableDetector
from keras_frcnn.export.saved_model import saved_model
from keras_frcnn.export.served_detector import ServedDetector, load
from keras_frcnn.export.settings import with_settings
from keras_frcnn.export.versions import next_version

__all__ = [
    "PortableDetector",
    "PortableSettings",
    "ServedDetector",
    "ServingClient",
    "litert",
    "load",
    "next_version",
    "onnx",
    "openvino",
    "saved_model",
    "with_settings",
]
