"""Training: recipes, schedules, callbacks."""

# A model saved with either must load when nothing but the package itself was imported.
from keras_frcnn.training.caffe_sgd import CaffeSGD
from keras_frcnn.training.step_decay import StepDecay

__all__ = ["CaffeSGD", "StepDecay"]
