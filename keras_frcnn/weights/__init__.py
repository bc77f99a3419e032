"""Convert the weights of detectors from other libraries, and back."""

from keras_frcnn.weights.torchvision import load_torchvision, to_torchvision

__all__ = ["load_torchvision", "to_torchvision"]
