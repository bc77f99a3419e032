"""Callbacks for `fit`."""

from keras_frcnn.callbacks.checkpoint import Checkpoint
from keras_frcnn.callbacks.detection_metrics import DetectionMetrics

__all__ = ["Checkpoint", "DetectionMetrics"]
