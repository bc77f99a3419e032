"""Detectors of other libraries: their weights by file or by name, and back."""

from keras_frcnn.models.faster_rcnn import PRESET_BUILDERS
from keras_frcnn.weights.from_preset import from_preset
from keras_frcnn.weights.preset import PRESETS, Preset, presets
from keras_frcnn.weights.torchvision import load_torchvision, to_torchvision

PRESET_BUILDERS["from_preset"] = from_preset

__all__ = ["PRESETS", "Preset", "load_torchvision", "presets", "to_torchvision"]
