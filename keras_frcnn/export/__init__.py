"""Export a SavedModel, read it back, and query a server that serves it."""

from keras_frcnn.export.client import ServingClient
from keras_frcnn.export.saved_model import saved_model
from keras_frcnn.export.served_detector import ServedDetector, load
from keras_frcnn.export.settings import with_settings
from keras_frcnn.export.versions import next_version

__all__ = ["ServedDetector", "ServingClient", "load", "next_version", "saved_model", "with_settings"]
