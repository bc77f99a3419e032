"""R-CNN, SPPnet, Fast R-CNN, the RPN, Faster R-CNN and Cascade R-CNN for Keras 3 on TensorFlow."""

import os

# Set before TensorFlow is imported, or its notes on the processor and its plans stand between the results.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

from keras_frcnn import boxes, callbacks, data, evaluation, export, layers, losses, models, training, weights
from keras_frcnn.allocator import keep_memory
from keras_frcnn.models import RCNN, RPN, CascadeRCNN, FasterRCNN, FastRCNN, SPPNet
from keras_frcnn.ops import kernels
from keras_frcnn.version import __version__
from keras_frcnn.weights import presets

__all__ = [
    "RCNN",
    "RPN",
    "CascadeRCNN",
    "FastRCNN",
    "FasterRCNN",
    "SPPNet",
    "__version__",
    "boxes",
    "callbacks",
    "data",
    "evaluation",
    "export",
    "keep_memory",
    "kernels",
    "layers",
    "losses",
    "models",
    "presets",
    "training",
    "weights",
]
