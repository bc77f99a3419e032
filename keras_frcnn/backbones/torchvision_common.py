"""Layers, weight files and detector settings that torchvision's networks share."""

from pathlib import Path

import keras

from keras_frcnn import checkpoints, downloads
from keras_frcnn.backbones import symmetric_convolutions
from keras_frcnn.backbones.backbone import mark_source

# torchvision/models/detection: faster_rcnn.py, rpn.py, roi_heads.py, anchor_utils.py, transform.py. The
# other settings are those of every pyramid (`models/arguments.py`).
DEFAULTS = {
    "image_size": (800, 1333),  # FasterRCNN min_size, max_size
    "resize_rounding": "float64",  # transform.py, _resize_image_and_masks
    "batch_norm_epsilon": 1e-5,  # torch.nn.BatchNorm2d, FrozenBatchNorm2d
    "anchor_offset": 0.0,  # AnchorGenerator.grid_anchors
    "anchor_rounding": "torchvision",  # AnchorGenerator.generate_anchors
    "anchor_steps": "quotient",  # AnchorGenerator.forward
    "pool_aligned": False,  # MultiScaleRoIAlign
    "head_background_box": True,  # FastRCNNPredictor
    "min_box_size": 0.01,  # RoIHeads.postprocess_detections
}


def convolution(x, filters, size, strides, name, depthwise=False):
    """A convolution without bias, padded equally on all sides."""
    kinds = symmetric_convolutions if size > 1 and strides > 1 else keras.layers
    arguments = {"strides": strides, "padding": "same", "use_bias": False, "name": name}
    if depthwise:
        return kinds.DepthwiseConv2D(size, depthwise_initializer="he_normal", **arguments)(x)
    return kinds.Conv2D(filters, size, kernel_initializer="he_normal", **arguments)(x)


def batch_norm(x, name):
    """Batch normalization with PyTorch's defaults."""
    return keras.layers.BatchNormalization(momentum=0.9, epsilon=1e-5, name=name)(x)


def load_body(body, weights, published, classifier):
    """Load the weights of torchvision's classifier into a network.

    Args:
        body: `keras.Model` whose layers have the names of torchvision's modules.
        weights: "none"; "imagenet", which is fetched on first use; a `.safetensors`, `.npz` or `.pth` file of
            torchvision's state dict; or that dict itself.
        published: name of torchvision's file, which ends with the first digits of its SHA-256.
        classifier: name prefix of the tensors that only the classifier needs.

    Returns:
        The source: "none", "imagenet", the file's name, or "state dict".

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the weights do not fit, or cannot be fetched.
    """
    if isinstance(weights, dict):
        origin, source = "the state dict", "state dict"
    else:
        origin, source = str(weights), Path(weights).name
    if source == "none":
        return source
    if origin.endswith(".h5"):
        raise ValueError(
            f"Weights file {origin} is of Keras, but this backbone takes torchvision's state dict of "
            f"{body.name}; give one of {', '.join(checkpoints.SUFFIXES)}."
        )
    if origin == "imagenet":
        weights = origin = downloads.published(published)
    tensors = [tensor for layer in body.layers for tensor in checkpoints.layer_tensors(layer, layer.name)]
    checkpoints.assign(tensors, checkpoints.read(weights), origin, ignored=(classifier,))
    mark_source(body, source)
    return source
