"""Detectors with the weights of other libraries, and the way back."""

from keras_frcnn.weights.torchvision import load_torchvision, to_torchvision

__all__ = ["load_torchvision", "to_torchvision"]
