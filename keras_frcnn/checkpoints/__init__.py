"""Checkpoints of other libraries: their files and their tensor layouts."""

from keras_frcnn.checkpoints.files import SUFFIXES, read
from keras_frcnn.checkpoints.finite import check_finite
from keras_frcnn.checkpoints.torch_tensor import TorchTensor, assign, flattened_dense, layer_tensors

__all__ = [
    "SUFFIXES",
    "TorchTensor",
    "assign",
    "check_finite",
    "flattened_dense",
    "layer_tensors",
    "read",
]
