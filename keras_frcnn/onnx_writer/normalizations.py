"""Write normalizations of Keras as ONNX nodes.

Maps are `[B, C, H, W]`. Letters: B images, H and W cells, C channels.
"""

import numpy as np


def batch_norm(graph, layer, x):
    mean, variance = np.asarray(layer.moving_mean), np.asarray(layer.moving_variance)
    scale = (np.asarray(layer.gamma) if layer.scale else 1.0) / np.sqrt(variance + layer.epsilon)
    shift = (np.asarray(layer.beta) if layer.center else 0.0) - mean * scale
    return _affine(graph, x, scale, shift)


def layer_norm(graph, layer, x):
    """Over the channels of each cell."""
    if list(layer.axis) not in ([-1], [3]) or getattr(layer, "rms_scaling", False):
        raise ValueError(f"Layer {layer.name} normalizes axis {layer.axis}; ONNX takes the channels only.")
    centered = graph.Sub(x, graph.ReduceMean(x, axes=[1], keepdims=1))
    variance = graph.ReduceMean(graph.Mul(centered, centered), axes=[1], keepdims=1)
    normal = graph.Div(centered, graph.Sqrt(graph.Add(variance, float(layer.epsilon))))
    scale = np.asarray(layer.gamma) if layer.gamma is not None else None
    shift = np.asarray(layer.beta) if layer.beta is not None else None
    return _affine(graph, normal, scale, shift)


def rescaling(graph, layer, x):
    return _affine(graph, x, layer.scale, layer.offset)


def normalization(graph, layer, x):
    """`keras.layers.Normalization` of pixels by a mean and variance."""
    mean, deviation = np.asarray(layer.mean), np.maximum(np.sqrt(np.asarray(layer.variance)), 1e-7)
    if layer.invert:
        return _affine(graph, x, deviation, mean)
    return _affine(graph, x, 1 / deviation, -mean / deviation)


def layer_scale(graph, layer, x):
    """The factor of each channel in ConvNeXt."""
    return _affine(graph, x, np.asarray(layer.gamma), None)


def _affine(graph, x, scale, shift):
    """Multiply each channel, and add; None leaves a part out."""
    if scale is not None:
        x = graph.Mul(x, _of_channels(graph, scale))
    return x if shift is None else graph.Add(x, _of_channels(graph, shift))


def _of_channels(graph, values):
    return graph.weights(np.asarray(values, np.float32).reshape(-1, 1, 1))
