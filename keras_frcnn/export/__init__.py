"""The exported SavedModel: writing it and reading it back."""

from keras_frcnn.export.saved_model import saved_model
from keras_frcnn.export.served_detector import ServedDetector, load
from keras_frcnn.export.versions import next_version

__all__ = ["ServedDetector", "load", "next_version", "saved_model"]
