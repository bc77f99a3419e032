"""Callbacks for `fit`."""

from keras_frcnn.callbacks.detection_metrics import DetectionMetrics

__all__ = ["DetectionMetrics"]
