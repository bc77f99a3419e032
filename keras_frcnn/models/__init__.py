"""The detectors of the R-CNN family."""

from keras_frcnn.models.detector import Detector
from keras_frcnn.models.faster_rcnn import FasterRCNN

__all__ = ["Detector", "FasterRCNN"]
