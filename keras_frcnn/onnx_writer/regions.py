"""Write the second stage, from RoIs to detections, as ONNX nodes.

Letters: B images, R RoIs per image, N RoIs of all, P bins per side, C channels, K classes, D detections.
"""

import math

import numpy as np

from keras_frcnn.layers import RoIAlign, RoIPooling
from keras_frcnn.onnx_writer import boxes as box_ops
from keras_frcnn.onnx_writer.network import activate, write_layer, write_network


def pool(graph, layer, features, rois):
    """Write RoIAlign or RoIPooling.

    Args:
        graph: `OnnxGraph`.
        layer: `RoIAlign` or `RoIPooling`.
        features: names of maps `[B, C, H, W]`.
        rois: float32 `[B, R, 4]`, pixels.

    Returns:
        Pooled RoIs `[N, C, P, P]` in the order of their maps, and the place of each RoI in it, int64 `[N]`;
        None for the places if there is one map.

    Raises:
        ValueError: the layer is another.
    """
    if type(layer) not in (RoIAlign, RoIPooling):
        raise ValueError(
            f"{type(layer).__name__} cannot be written as ONNX; use pooling='roi_align' or 'roi_pooling', or "
            "export a SavedModel or LiteRT."
        )
    count = graph.size(rois, 1)
    flat = graph.Reshape(rois, [-1, 4])
    total = graph.size(flat, 0)
    numbers = graph.Range(0, graph.Squeeze(total), 1)
    image = graph.Div(numbers, count)
    if len(features) == 1:
        return _pooled(graph, layer, features[0], layer.strides[0], flat, image), None
    level = _levels(graph, layer, flat)
    pooled, order = [], []
    for index, (feature, stride) in enumerate(zip(features, layer.strides, strict=True)):
        rows = graph.Reshape(graph.NonZero(graph.Equal(level, index)), [-1])
        own = graph.Gather(flat, rows), graph.Gather(image, rows)
        pooled.append(_pooled(graph, layer, feature, stride, *own))
        order.append(rows)
    place = graph.ScatterElements(numbers, graph.join(*order), numbers)
    return graph.join(*pooled), place


def _pooled(graph, layer, feature, stride, rois, image):
    # One sample in each of more bins is the same grid of samples; RoIPooling takes their maximum.
    takes_maximum = isinstance(layer, RoIPooling)
    finer, samples = (layer.samples, 1) if takes_maximum else (1, layer.samples)
    side = layer.pool_size * finer
    pooled = graph.RoiAlign(
        feature,
        rois,
        image,
        mode="avg",
        output_height=side,
        output_width=side,
        sampling_ratio=samples,
        spatial_scale=1.0 / stride,
        coordinate_transformation_mode="half_pixel" if layer.aligned else "output_half_pixel",
    )
    if takes_maximum:
        pooled = graph.MaxPool(pooled, kernel_shape=[finer] * 2, strides=[finer] * 2)
    return pooled


def _levels(graph, layer, boxes):
    """`RoILayer.levels`, int64 `[N]`."""
    size = graph.Max(graph.Sub(graph.part(boxes, 2, 4, 1), graph.part(boxes, 0, 2, 1)), 0.0)
    scale = graph.Sqrt(graph.ReduceProd(size, axes=[1], keepdims=0))
    scale = graph.Add(graph.Div(scale, layer.canonical_size), 1e-6)
    level = graph.Add(graph.Div(graph.Log(scale), math.log(2.0)), float(layer.canonical_level))
    finest = round(math.log2(layer.strides[0]))
    level = graph.Sub(graph.Floor(level), float(finest))
    return graph.to(graph.Clip(level, 0.0, float(len(layer.strides) - 1)), "INT64")


def head_outputs(graph, head, pooled, place, rois):
    """Write a `DetectionHead`.

    Args:
        graph: `OnnxGraph`.
        head: `DetectionHead`.
        pooled: `[N, C, P, P]`.
        place: int64 `[N]`, see `pool`.
        rois: float32 `[B, R, 4]`, for B and R.

    Returns:
        class logits float32 `[B, R, K + 1]` and deltas float32 `[B, R, K or 1, 4]`.
    """
    features = _features(graph, head, pooled)
    kernel, bias = (
        weight[..., 4 * (head.box_rows - head.box_count) :] for weight in _weights(head.box_dense)
    )
    logits = _dense(graph, features, *_weights(head.class_dense))
    deltas = _dense(graph, features, kernel, bias)
    if place is not None:  # sort here, where rows are short
        logits, deltas = graph.Gather(logits, place), graph.Gather(deltas, place)
    batch, count = graph.size(rois, 0), graph.size(rois, 1)
    return (
        graph.reshape(logits, batch, count, head.num_classes + 1),
        graph.reshape(deltas, batch, count, head.box_count, 4),
    )


def _features(graph, head, pooled):
    if head.network is not None:
        (features,) = write_network(graph, head.network, pooled)
        return graph.ReduceMean(features, axes=[2, 3], keepdims=0)
    for index, conv in enumerate(head.convs):
        pooled = write_layer(graph, conv, pooled)
        if head.norms:
            pooled = write_layer(graph, head.norms[index], pooled)
        pooled = graph.Relu(pooled)
    features = graph.Flatten(pooled)
    height, width, channels = head.roi_shape
    channels = head.convs[-1].filters if head.convs else channels
    for index, layer in enumerate(head.dense_layers):
        kernel, bias = _weights(layer)
        if index == 0:
            # RoIs are flattened with their channels first here.
            kernel = kernel.reshape(height, width, channels, -1).transpose(2, 0, 1, 3)
            kernel = kernel.reshape(height * width * channels, -1)
        features = activate(graph, layer.activation, _dense(graph, features, kernel, bias))
    return features


def _weights(layer):
    kernel = np.asarray(layer.kernel)
    return kernel, np.asarray(layer.bias) if layer.use_bias else np.zeros(kernel.shape[1:], np.float32)


def _dense(graph, x, kernel, bias):
    return graph.Gemm(x, graph.weights(kernel.T), graph.weights(bias), transB=1)


def postprocess(graph, probabilities, boxes, is_box, shape, settings):
    """Write `ops.nms.postprocess`.

    Args:
        graph: `OnnxGraph`.
        probabilities: float32 `[B, R, K + 1]`, background first.
        boxes: float32 `[B, R, K or 1, 4]`, pixels, decoded.
        is_box: bool `[B, R]`.
        shape: height and width that boxes are clipped to, int64 `[1]` each.
        settings: mapping with "score_threshold", "nms_iou", "max_detections" and "min_box_size".

    Returns:
        boxes float32 `[B, D, 4]`, scores float32 `[B, D]`, labels int64 `[B, D]` and bool `[B, D]`, whether a
        row is a detection.
    """
    rows = settings["max_detections"]
    batch, count = graph.size(probabilities, 0), graph.size(probabilities, 1)
    scores = graph.part(probabilities, 1, np.iinfo(np.int64).max, 2)
    boxes = box_ops.clip(graph, boxes, shape)
    counts = graph.And(box_ops.at_least(graph, boxes, settings["min_box_size"]), graph.Unsqueeze(is_box, [2]))
    counts = graph.And(counts, graph.Greater(scores, float(settings["score_threshold"])))
    scores = graph.Where(counts, scores, box_ops.LOWEST)
    boxes = graph.Expand(boxes, graph.join(graph.Shape(scores), 1))
    # Every class of every image is a row of its own, so that no box is moved to keep classes apart.
    scores = graph.reshape(graph.Transpose(scores, perm=[0, 2, 1]), -1, count)
    boxes = graph.reshape(graph.Transpose(boxes, perm=[0, 2, 1, 3]), -1, count, 4)
    scores = box_ops.suppressed(graph, boxes, scores, settings["nms_iou"], rows)
    scores, boxes = graph.reshape(scores, batch, -1), graph.reshape(boxes, batch, -1, 4)
    # Rows without a box fill the answer where an image has few candidates.
    padding = graph.Expand(box_ops.LOWEST, graph.join(batch, rows))
    scores = graph.join(scores, padding, axis=1)
    boxes = graph.join(boxes, graph.Expand(0.0, graph.join(batch, rows, 4)), axis=1)
    scores, boxes, places = box_ops.best(graph, scores, boxes, [rows])
    return boxes, scores, graph.Div(places, count), box_ops.are_real(graph, scores)
