"""Write the preparation of images, and the way back of boxes, as ONNX nodes.

A shape is height and width, two int64 `[1]` tensors. Letters: B images, H height, W width, N boxes.
"""

import numpy as np

from keras_frcnn.images import float64_sides
from keras_frcnn.layers import PixelNormalization


def prepare(graph, model, images):
    """Resize, normalize and pad images.

    Args:
        graph: `OnnxGraph`.
        model: `Detector`.
        images: uint8 `[B, H, W, 3]`.

    Returns:
        float32 `[B, 3, H', W']`; the shape before and after the resize, both without padding.
    """
    original = graph.size(images, 1), graph.size(images, 2)
    shape = _resized(graph, original, model.resizing)
    pixels = graph.to(graph.Transpose(images, perm=[0, 3, 1, 2]), "FLOAT")
    # ONNX Runtime before 1.24 does not see by itself that these are four.
    sizes = graph.Reshape(graph.join(graph.size(images, 0), 3, *shape), [4])
    pixels = graph.Resize(
        pixels,
        None,
        None,
        sizes,
        mode="linear",
        coordinate_transformation_mode="half_pixel",
    )
    pixels = _normalized(graph, model.pixels, pixels)
    target = [model.resizing.canvas_side] * 2 if model.canvas else shape
    # Padding follows normalization, so the padding is 0.
    missing = [graph.Sub(_multiple(graph, side, model.stride), own) for side, own in zip(target, shape)]
    pixels = graph.Pad(pixels, graph.join(0, 0, 0, 0, 0, 0, *missing))
    pixels = _unshifted(graph, model.pixels, pixels)
    return pixels, original, shape


def _resized(graph, shape, resizing):
    """`images.resized_shape`, without float64, which OpenVINO replaces by float32."""
    short, long = resizing.image_size
    small, large = graph.Min(*shape), graph.Max(*shape)
    fits = graph.LessOrEqual(graph.Mul(large, [short]), graph.Mul(small, [long]))
    target, side = graph.Where(fits, [short], [long]), graph.Where(fits, small, large)
    products = [graph.Mul(own, target) for own in shape]
    sides = [graph.Div(product, side) for product in products]
    if resizing.rounding == "float64":
        place = graph.Min(side, [float64_sides.LARGEST])
        tables = [graph.Gather(float64_sides.shortfalls(limit), place) for limit in (short, long)]
        lacks = graph.Where(fits, *tables)
        bounds = [graph.Gather(float64_sides.bounds(long), value) for value in sides]
        lacking = [graph.Mul(lacks, graph.to(own, "FLOAT")) for own in shape]
        falls = [graph.Greater(*pair) for pair in zip(lacking, bounds)]
        whole = [graph.Equal(graph.Mul(value, side), product) for value, product in zip(sides, products)]
        less = [graph.to(graph.And(*both), "INT64") for both in zip(falls, whole)]
        sides = [graph.Sub(value, one) for value, one in zip(sides, less)]
    return tuple(graph.Max(value, [1]) for value in sides)


def _normalized(graph, pixels, images):
    """`PixelNormalization` of `[B, 3, H, W]` before its padding, for "none" less the mean."""
    if pixels.preprocessing == "none":
        return graph.Sub(images, _of_channels(PixelNormalization.MEAN_BGR[::-1]))
    if pixels.preprocessing == "tf":
        return graph.Sub(graph.Div(images, 127.5), 1.0)
    if pixels.preprocessing == "caffe":
        images = graph.Gather(images, [2, 1, 0], axis=1)
        return graph.Sub(images, _of_channels(PixelNormalization.MEAN_BGR))
    mean, deviation = map(_of_channels, (PixelNormalization.MEAN_RGB, PixelNormalization.DEVIATION_RGB))
    return graph.Div(graph.Sub(graph.Div(images, 255.0), mean), deviation)


def _unshifted(graph, pixels, images):
    """Add the mean again after the padding, so that the padding has it."""
    if pixels.preprocessing != "none":
        return images
    return graph.Add(images, _of_channels(PixelNormalization.MEAN_BGR[::-1]))


def _of_channels(triple):
    return np.array(triple, np.float32).reshape(3, 1, 1)


def _multiple(graph, side, stride):
    """A side rounded up to a multiple of the stride."""
    if isinstance(side, int):
        return graph.constant([-(-side // stride) * stride])
    return graph.Mul(graph.Div(graph.Add(side, [stride - 1]), [stride]), [stride])


def restore(graph, boxes, shape, original):
    """`boxes.rescale`: boxes `[B, N, 4]` from an image of `shape` to the original one, not clipped."""
    (height, width), (old_height, old_width) = (
        [graph.to(side, "FLOAT") for side in sides] for sides in (original, shape)
    )
    x, y = graph.Div(width, old_width), graph.Div(height, old_height)
    return graph.Mul(boxes, graph.join(x, y, x, y))
