"""The detectors of the R-CNN family."""

from keras_frcnn.models.cascade_rcnn import CascadeRCNN
from keras_frcnn.models.compression import compress
from keras_frcnn.models.detector import Detector
from keras_frcnn.models.fast_rcnn import FastRCNN
from keras_frcnn.models.faster_rcnn import FasterRCNN
from keras_frcnn.models.rcnn import RCNN
from keras_frcnn.models.rpn import RPN
from keras_frcnn.models.sppnet import SPPNet
from keras_frcnn.models.transfer import transfer

__all__ = [
    "RCNN",
    "RPN",
    "CascadeRCNN",
    "Detector",
    "FastRCNN",
    "FasterRCNN",
    "SPPNet",
    "compress",
    "transfer",
]
