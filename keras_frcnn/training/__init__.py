"""Training: recipes, schedules and Caffe's SGD."""

# Register both, so that a model saved with either loads after importing only the package.
from keras_frcnn.training.caffe_sgd import CaffeSGD
from keras_frcnn.training.step_decay import StepDecay

__all__ = ["CaffeSGD", "StepDecay"]
