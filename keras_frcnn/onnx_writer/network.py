"""Write Keras networks as ONNX nodes.

Maps are `[B, C, H, W]` here, the order of ONNX. Letters: B images, H and W cells, C channels.
"""

import functools
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_frcnn import _compat
from keras_frcnn.backbones import symmetric_convolutions
from keras_frcnn.backbones.mobilenet_v3_body import PixelConvolution, hard_swish, hard_swish_for_inference
from keras_frcnn.layers import FeaturePyramid
from keras_frcnn.onnx_writer.normalizations import (
    batch_norm,
    layer_norm,
    layer_scale,
    normalization,
    rescaling,
)

SYMMETRIC = (symmetric_convolutions.Conv2D, symmetric_convolutions.DepthwiseConv2D)


def write_network(graph, network, images) -> list[str]:
    """Write a functional network.

    Args:
        graph: `OnnxGraph`.
        network: functional `keras.Model` `[B, H, W, C]` → maps.
        images: name of its input, `[B, C, H, W]`.

    Returns:
        Names of its outputs, `[B, C, H, W]` each.

    Raises:
        ValueError: the network is not functional, or ONNX nodes of one of its layers are not known here.
    """
    if not isinstance(network, _compat.Functional):
        raise ValueError(
            f"{network.name} is no functional model, so its layers cannot be written one by one; build it "
            "with keras.Model(inputs, outputs), or export a SavedModel or LiteRT."
        )
    names = {id(network.inputs[0]): images}
    for node in _compat.nodes(network):
        if not node.input_tensors:
            continue
        inputs = [names[id(tensor)] for tensor in node.input_tensors]
        if not isinstance(node.operation, keras.layers.Layer):  # its arguments may be numbers
            inputs = [names.get(id(argument), argument) for argument in node.arguments.args]
        outputs = write_layer(graph, node.operation, *inputs)
        outputs = outputs if isinstance(outputs, list) else [outputs]
        names |= {id(tensor): name for tensor, name in zip(node.outputs, outputs, strict=True)}
    return [names[id(tensor)] for tensor in network.outputs]


def write_layer(graph, layer, *inputs):
    """Write one layer; returns the name of its output, or a list of names."""
    if isinstance(layer, keras.Sequential):
        return functools.reduce(lambda x, inner: _one(write_layer(graph, inner, x)), layer.layers, *inputs)
    if isinstance(layer, _compat.Functional):
        return write_network(graph, layer, *inputs)
    # Only the exact class: a subclass may compute something else.
    rule = RULES.get(type(layer))
    if rule is None and type(layer).__module__.startswith("keras."):
        rule = OPERATIONS.get(type(layer).__name__)
    if rule is None:
        raise ValueError(
            f"Layer {layer.name} is a {type(layer).__name__}, which cannot be written as ONNX; replace it by "
            "layers of Keras, or export a SavedModel or LiteRT."
        )
    return rule(graph, layer, *inputs)


def _one(outputs):
    """The only output of a layer, which a functional model has in a list."""
    return outputs[0] if isinstance(outputs, list) else outputs


def activate(graph, function, x):
    """Write an activation function; refuse an unknown one."""
    for known, write in ACTIVATIONS:
        if function is known:
            return write(graph, x)
    name = getattr(function, "__name__", function)
    raise ValueError(
        f"Activation {name} cannot be written as ONNX; use one such as relu, or export a SavedModel."
    )


def _linear(graph, x):
    return x


def _relu6(graph, x):
    return graph.Clip(x, 0.0, 6.0)


def _silu(graph, x):
    return graph.Mul(x, graph.Sigmoid(x))


def _gelu(graph, x):
    return graph.Mul(graph.Mul(x, 0.5), graph.Add(graph.Erf(graph.Div(x, float(np.sqrt(2)))), 1.0))


def _hard_sigmoid(graph, x):
    return graph.HardSigmoid(x, alpha=1 / 6, beta=0.5)


ACTIVATIONS = (
    (keras.activations.linear, _linear),
    (keras.activations.relu, lambda graph, x: graph.Relu(x)),
    (tf.nn.relu, lambda graph, x: graph.Relu(x)),
    (keras.activations.relu6, _relu6),
    (keras.activations.sigmoid, lambda graph, x: graph.Sigmoid(x)),
    (keras.activations.tanh, lambda graph, x: graph.Tanh(x)),
    (keras.activations.silu, _silu),
    (keras.activations.gelu, _gelu),
    (keras.activations.hard_sigmoid, _hard_sigmoid),
    (keras.activations.hard_silu, lambda graph, x: graph.HardSwish(x)),
    (hard_swish, lambda graph, x: graph.HardSwish(x)),
    (hard_swish_for_inference, lambda graph, x: graph.HardSwish(x)),
)


def _window(layer, size):
    """Attributes of a layer that slides a window: strides and padding as ONNX words them."""
    attributes: dict[str, Any] = {"kernel_shape": list(size), "strides": list(layer.strides)}
    dilations = list(getattr(layer, "dilation_rate", (1, 1)))
    reach = [rate * (side - 1) for rate, side in zip(dilations, size)]
    if isinstance(layer, SYMMETRIC):
        attributes["pads"] = [side // 2 for side in size] * 2
    elif layer.padding == "same" and all(stride == 1 for stride in layer.strides):
        attributes["pads"] = [*(side // 2 for side in reach), *(side - side // 2 for side in reach)]
    elif layer.padding == "same":
        attributes["auto_pad"] = "SAME_UPPER"
    return attributes | ({"dilations": dilations} if max(dilations) > 1 else {})


def _convolution(graph, layer, x):
    kernel, bias = np.asarray(layer.kernel), np.asarray(layer.bias) if layer.use_bias else None
    groups = getattr(layer, "groups", 1)
    if isinstance(layer, keras.layers.DepthwiseConv2D):
        groups = kernel.shape[2]
        kernel = kernel.reshape(*kernel.shape[:2], 1, -1)
    y = graph.Conv(
        x,
        graph.weights(kernel.transpose(3, 2, 0, 1)),
        *([] if bias is None else [graph.weights(bias)]),
        group=groups,
        **_window(layer, layer.kernel_size),
    )
    return activate(graph, layer.activation, y)


def _dense(graph, layer, x):
    """A dense layer of each cell of a map is a convolution of 1 by 1."""
    if len(layer.input.shape) != 4:
        raise ValueError(f"Layer {layer.name} is a Dense of no map, which cannot be written as ONNX here.")
    kernel = np.asarray(layer.kernel).T[:, :, None, None]
    bias = [graph.weights(np.asarray(layer.bias))] if layer.use_bias else []
    return activate(graph, layer.activation, graph.Conv(x, graph.weights(kernel), *bias))


def _reshape(graph, layer, x):
    """Only what follows a global pooling: a vector becomes a map of one cell."""
    target = tuple(layer.target_shape)
    if len(target) != 3 or target[:2] != (1, 1) or layer.input.shape[1:-1] not in ((), (1, 1)):
        raise ValueError(f"Layer {layer.name} reshapes to {target}; ONNX takes (1, 1, channels) only.")
    return graph.Reshape(x, [0, target[2] if target[2] else -1, 1, 1])


def _relu(graph, layer, x):
    if layer.negative_slope or layer.threshold:
        raise ValueError(f"Layer {layer.name} is a ReLU with a slope or threshold; leave them at 0 for ONNX.")
    return graph.Relu(x) if layer.max_value is None else graph.Clip(x, 0.0, float(layer.max_value))


def _zero_padding(graph, layer, x):
    (top, bottom), (left, right) = layer.padding
    return graph.Pad(x, [0, 0, top, left, 0, 0, bottom, right])


def _max_pooling(graph, layer, x):
    return graph.MaxPool(x, **_window(layer, layer.pool_size))


def _average_pooling(graph, layer, x):
    return graph.AveragePool(x, **_window(layer, layer.pool_size))


def _global_average(graph, layer, x):
    return graph.ReduceMean(x, axes=[2, 3], keepdims=int(layer.keepdims))


def _concatenate(graph, layer, *inputs):
    if layer.axis not in (-1, 3):
        raise ValueError(f"Layer {layer.name} joins axis {layer.axis}; ONNX takes a join of channels only.")
    return graph.Concat(*inputs, axis=1)


def _mean(graph, operation, x):
    axes = operation.axis if isinstance(operation.axis, (list, tuple)) else [operation.axis]
    places = {0: 0, 1: 2, 2: 3, 3: 1}
    return graph.ReduceMean(x, axes=[places[axis % 4] for axis in axes], keepdims=int(operation.keepdims))


def _pairwise(operator):
    """The rule of an operation on two maps, or on a map and a number."""

    def write(graph, operation, *inputs):
        if not all(isinstance(one, (str, int, float)) for one in inputs):
            raise ValueError(f"Operation {operation.name} takes an array; ONNX takes maps and numbers only.")
        return operator(graph, *(one if isinstance(one, str) else float(one) for one in inputs))

    return write


def _pyramid(graph, layer, *features):
    merged = [write_layer(graph, conv, feature) for conv, feature in zip(layer.lateral, features)]
    if layer.batch_norm:
        merged = [batch_norm(graph, norm, one) for norm, one in zip(layer.lateral_norms, merged)]
    for level in reversed(range(len(merged) - 1)):
        # Repeat cells; rounding down gives the cells of `FeaturePyramid`.
        coarse = graph.Resize(
            merged[level + 1],
            None,
            None,
            graph.Shape(merged[level]),
            mode="nearest",
            nearest_mode="floor",
            coordinate_transformation_mode="asymmetric",
        )
        merged[level] = graph.Add(merged[level], coarse)
    pyramid = [write_layer(graph, conv, one) for conv, one in zip(layer.output_convs, merged)]
    if layer.batch_norm:
        pyramid = [batch_norm(graph, norm, one) for norm, one in zip(layer.output_norms, pyramid)]
    for _ in range(layer.extra_levels):
        # Every second cell, as in a max pool of one cell.
        pyramid.append(graph.MaxPool(pyramid[-1], kernel_shape=[1, 1], strides=[2, 2]))
    return pyramid


RULES = {
    keras.layers.Conv2D: _convolution,
    keras.layers.DepthwiseConv2D: _convolution,
    symmetric_convolutions.Conv2D: _convolution,
    symmetric_convolutions.DepthwiseConv2D: _convolution,
    PixelConvolution: _convolution,
    keras.layers.BatchNormalization: batch_norm,
    keras.layers.LayerNormalization: layer_norm,
    keras.layers.Normalization: normalization,
    keras.layers.Rescaling: rescaling,
    keras.layers.Dense: _dense,
    keras.layers.Reshape: _reshape,
    keras.layers.ReLU: _relu,
    keras.layers.Activation: lambda graph, layer, x: activate(graph, layer.activation, x),
    keras.layers.Add: lambda graph, layer, *inputs: functools.reduce(graph.Add, inputs),
    keras.layers.Multiply: lambda graph, layer, *inputs: functools.reduce(graph.Mul, inputs),
    keras.layers.Concatenate: _concatenate,
    keras.layers.MaxPooling2D: _max_pooling,
    keras.layers.AveragePooling2D: _average_pooling,
    keras.layers.GlobalAveragePooling2D: _global_average,
    keras.layers.ZeroPadding2D: _zero_padding,
    keras.layers.Dropout: lambda graph, layer, x: x,
    FeaturePyramid: _pyramid,
}
# Functions of `keras.ops` have no public class, nor have the layers of ConvNeXt; these are their names.
OPERATIONS = {
    "Add": _pairwise(lambda graph, x, y: graph.Add(x, y)),
    "LayerScale": layer_scale,
    "Mean": _mean,
    "Multiply": _pairwise(lambda graph, x, y: graph.Mul(x, y)),
    "StochasticDepth": lambda graph, layer, x: x,
}
