"""R-CNN, Fast R-CNN and Faster R-CNN for Keras 3 on TensorFlow."""

from keras_frcnn import boxes, callbacks, data, evaluation, export, layers, models
from keras_frcnn.models import FasterRCNN

__version__ = "0.1.0"

__all__ = ["FasterRCNN", "boxes", "callbacks", "data", "evaluation", "export", "layers", "models"]
