"""Callbacks for `fit`."""

from keras_frcnn.callbacks.checkpoint import Checkpoint
from keras_frcnn.callbacks.detection_metrics import DetectionMetrics
from keras_frcnn.callbacks.on_nonfinite import Diverged, OnNonFinite

__all__ = ["Checkpoint", "DetectionMetrics", "Diverged", "OnNonFinite"]
