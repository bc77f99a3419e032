"""R-CNN, Fast R-CNN and Faster R-CNN for Keras 3 on TensorFlow."""

import sys

__version__ = "0.1.0"

# `python -m keras_frcnn` imports what its command needs: its --help should not wait for TensorFlow.
if not (sys.argv[:1] == ["-m"] and sys.orig_argv[-len(sys.argv)] == __name__):
    from keras_frcnn import boxes, callbacks, data, evaluation, export, layers, models
    from keras_frcnn.models import FasterRCNN

__all__ = ["FasterRCNN", "boxes", "callbacks", "data", "evaluation", "export", "layers", "models"]
