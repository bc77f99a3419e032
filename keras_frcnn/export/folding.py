"""Fold batch normalization into the convolutions before it.

At inference, the normalization of a convolution's output scales and shifts each channel, so the pair equals
a convolution with other weights and a bias. TensorFlow can then fuse the activation as well. The custom
gradient of hard swish would prevent this, so the export leaves it out.
"""

import collections

import keras
import numpy as np

from keras_frcnn import _compat
from keras_frcnn.backbones import symmetric_convolutions
from keras_frcnn.backbones.mobilenet_v3_body import hard_swish, hard_swish_for_inference
from keras_frcnn.layers import DetectionHead, FeaturePyramid

CONVOLUTIONS = (
    keras.layers.Conv2D,
    keras.layers.DepthwiseConv2D,
    symmetric_convolutions.Conv2D,
    symmetric_convolutions.DepthwiseConv2D,
)


def fold_batch_norm(model, source):
    """Replace the networks of a detector with equivalent ones without batch normalization.

    Args:
        model: `Detector`, which is changed; it cannot be trained afterwards.
        source: the same detector, whose weights may have a higher precision.
    """
    model.backbone = _folded_network(model.backbone, source.backbone)
    for name in model.head_names:
        head = getattr(model, name)
        if head.norms or head.network is not None:
            setattr(model, name, _folded_head(head, getattr(source, name)))


def _folded_network(network, source):
    """Copy a functional network, with the normalization folded into its convolutions."""
    norms = _norms_by_convolution(network)
    folded = {}

    def clone(layer):
        config = layer.get_config()
        if layer in norms:
            folded[layer] = type(layer).from_config({**config, "use_bias": True})
        elif isinstance(layer, FeaturePyramid) and layer.batch_norm:
            folded[layer] = FeaturePyramid.from_config({**config, "batch_norm": False})
        elif isinstance(layer, _compat.Functional):
            return _folded_network(layer, source.get_layer(layer.name))
        elif type(layer) is keras.layers.Activation and layer.activation is hard_swish:
            return keras.layers.Activation.from_config({**config, "activation": hard_swish_for_inference})
        return folded.get(layer, layer)

    def call(layer, *inputs, **arguments):
        return inputs[0] if layer in norms.values() else layer(*inputs, **arguments)

    network = keras.models.clone_model(network, clone_function=clone, call_function=call)
    for old, new in folded.items():
        layer = source.get_layer(old.name)
        if old in norms:
            new.set_weights(_folded(layer, source.get_layer(norms[old].name)))
        else:
            new.set_weights(_folded_pyramid(layer))
    return network


def _norms_by_convolution(network):
    """Map each convolution to the batch normalization that is its only reader; both are called once."""
    nodes = _compat.nodes(network)
    calls = collections.Counter(node.operation for node in nodes)
    readers = {id(tensor): [None] for tensor in network.outputs}
    for node in nodes:
        for tensor in node.input_tensors:
            readers.setdefault(id(tensor), []).append(node.operation)
    pairs = {}
    for node in nodes:
        norm, *others = readers.get(id(node.outputs[0]), [None])
        alone = not others and calls[node.operation] == calls[norm] == 1
        if alone and _is_linear(node.operation) and _is_norm(norm):
            pairs[node.operation] = norm
    return pairs


def _is_linear(layer):
    # Exclude subclasses, which may use their kernel in another way.
    return type(layer) in CONVOLUTIONS and layer.activation is keras.activations.linear


def _is_norm(layer):
    return type(layer) is keras.layers.BatchNormalization and layer.axis in (-1, 3)


def _folded(conv, norm):
    """Kernel and bias of a convolution with the normalization after it folded in."""
    mean, variance = (np.asarray(weight) for weight in (norm.moving_mean, norm.moving_variance))
    scale = (np.asarray(norm.gamma) if norm.scale else 1.0) / np.sqrt(variance + norm.epsilon)
    shift = (np.asarray(norm.beta) if norm.center else 0.0) - mean * scale
    if conv.use_bias:
        shift = shift + np.asarray(conv.bias) * scale
    # The outputs are the last axis of a kernel; in a depthwise one, the last two.
    depthwise = isinstance(conv, keras.layers.DepthwiseConv2D)
    scale = scale.reshape(conv.kernel.shape[-2:] if depthwise else -1)
    return [np.asarray(conv.kernel) * scale, shift]


def _folded_pyramid(pyramid):
    convs = [*pyramid.lateral, *pyramid.output_convs]
    return [weight for pair in zip(convs, pyramid.norms, strict=True) for weight in _folded(*pair)]


def _folded_head(head, source):
    network = head.network and _folded_network(head.network, source.network)
    folded = DetectionHead.from_config({**head.get_config(), "batch_norm": False, "network": network})
    folded.build((None, None, *head.roi_shape))
    for conv, other, norm in zip(folded.convs, source.convs, source.norms):
        conv.set_weights(_folded(other, norm))
    pairs = zip(folded.dense_layers + folded.predictors, source.dense_layers + source.predictors, strict=True)
    for layer, other in pairs:
        layer.set_weights(other.get_weights())
    return folded
