"""Training: recipes, schedules and optimizers."""

# Register all of them, so that a model saved with one loads after importing only the package.
from keras_frcnn.training.caffe_sgd import CaffeSGD
from keras_frcnn.training.kernel_decay import KernelAdamW, KernelSGD
from keras_frcnn.training.step_decay import StepDecay

__all__ = ["CaffeSGD", "KernelAdamW", "KernelSGD", "StepDecay"]
