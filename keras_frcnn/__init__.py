"""R-CNN, SPPnet, Fast R-CNN, the RPN, Faster R-CNN and Cascade R-CNN for Keras 3 on TensorFlow."""

from keras_frcnn import quiet_tensorflow

# Around the first import of TensorFlow, or its notes stand between the results.
with quiet_tensorflow.without_notes():
    from keras_frcnn import boxes, callbacks, data, evaluation, export, layers, losses, models, training

from keras_frcnn import weights
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
