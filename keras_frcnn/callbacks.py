"""Callbacks for `fit`."""

from keras_frcnn.training.detection_metrics import DetectionMetrics

__all__ = ["DetectionMetrics"]
