"""Write the first stage of Faster R-CNN as ONNX nodes.

Letters: B images, A anchors of a level, k anchors per cell, R proposals.
"""

from typing import NamedTuple

import keras
import numpy as np

from keras_frcnn.onnx_writer import boxes as box_ops
from keras_frcnn.onnx_writer.network import write_layer


class Proposals(NamedTuple):
    """Names of the outputs of the first stage.

    Attributes:
        boxes: float32 `[B, R, 4]`, pixels, best first; R is what the image with the most proposals has.
        scores: float32 `[B, R]`, 0–1.
        is_box: bool `[B, R]`, false where a row is padding.
    """

    boxes: str
    scores: str
    is_box: str


def propose(graph, rpn, features, shape):
    """Write a region proposal network.

    Args:
        graph: `OnnxGraph`.
        rpn: `RegionProposalNetwork`.
        features: names of maps `[B, C, H, W]`.
        shape: height and width that boxes are clipped to, int64 `[1]` each.

    Returns:
        `Proposals`.
    """
    post_nms = rpn.post_nms[1]
    boxes, scores = [], []
    for references, feature in zip(_anchors(graph, rpn.anchors, features), features):
        logits, deltas = _predicted(graph, rpn, feature)
        if rpn.min_size_first:
            decoded = box_ops.clip(graph, box_ops.decode(graph, rpn.coder, deltas, references), shape)
            logits = graph.Where(box_ops.at_least(graph, decoded, rpn.min_size), logits, box_ops.LOWEST)
        limit = graph.Min(graph.size(references, 0), [rpn.pre_nms[1]])
        logits, chosen, places = box_ops.best(graph, logits, deltas, limit)
        decoded = box_ops.decode(graph, rpn.coder, chosen, graph.Gather(references, places))
        decoded = box_ops.clip(graph, decoded, shape)
        usable = box_ops.at_least(graph, decoded, rpn.min_size)
        if rpn.score_threshold:
            sure = graph.GreaterOrEqual(graph.Sigmoid(logits), rpn.score_threshold)
            usable = graph.And(usable, sure)
        logits = graph.Where(usable, logits, box_ops.LOWEST)
        scores.append(box_ops.suppressed(graph, decoded, logits, rpn.nms_iou, post_nms))
        boxes.append(decoded)
    scores, boxes = graph.join(*scores, axis=1), graph.join(*boxes, axis=1)
    # As many rows as the fullest image needs, and one, because some runtimes refuse an empty matrix.
    found = graph.ReduceSum(graph.to(box_ops.are_real(graph, scores), "INT64"), [1])
    rows = graph.Max(graph.Min(graph.ReduceMax(found, axes=[0, 1], keepdims=0), post_nms), 1)
    scores, boxes, _ = box_ops.best(graph, scores, boxes, graph.Reshape(rows, [1]))
    return Proposals(boxes, graph.Sigmoid(scores), box_ops.are_real(graph, scores))


def _anchors(graph, anchors, features):
    """`AnchorGenerator.per_level`: a list of float32 `[A, 4]`."""
    shapes = [(graph.size(feature, 2), graph.size(feature, 3)) for feature in features]
    image = [graph.Mul(side, [anchors.strides[0]]) for side in shapes[0]]
    levels = []
    for level, (shape, stride) in enumerate(zip(shapes, anchors.strides)):
        steps = [graph.constant([stride])] * 2
        if anchors.steps == "quotient":
            steps = [graph.Div(side, own) for side, own in zip(image, shape)]
        y, x = (
            graph.to(graph.Mul(graph.Range(0, graph.Squeeze(side), 1), step), "FLOAT")
            for side, step in zip(shape, steps)
        )
        size = graph.join(*shape, 1, 1)
        y = graph.Expand(graph.Reshape(y, [-1, 1, 1, 1]), size)
        x = graph.Expand(graph.Reshape(x, [1, -1, 1, 1]), size)
        cells = graph.Add(graph.join(x, y, x, y, axis=-1), anchors.cell_anchors(level))
        levels.append(graph.Reshape(cells, [-1, 4]))
    return levels


def _predicted(graph, rpn, feature):
    """Logits `[B, A]` and deltas `[B, A, 4]` of one map."""
    hidden = feature
    for conv in (rpn.conv, *rpn.further_convs):
        hidden = write_layer(graph, conv, hidden)
    logits, deltas = (write_layer(graph, conv, hidden) for conv in (_class_conv(rpn), rpn.box_conv))
    logits, deltas = (graph.Transpose(values, perm=[0, 2, 3, 1]) for values in (logits, deltas))
    batch = graph.size(feature, 0)
    return graph.reshape(logits, batch, -1), graph.reshape(deltas, batch, -1, 4)


def _class_conv(rpn):
    """The convolution that predicts one logit for each anchor."""
    conv = rpn.class_conv
    if rpn.objectness == "sigmoid":
        return conv
    # The difference of two logits is the product with the difference of their weights.
    kernel, bias = (np.asarray(weight) for weight in conv.get_weights())
    k = rpn.anchors.anchors_per_cell
    single = keras.layers.Conv2D(k, 1, name=conv.name, dtype="float32")
    single.build((None, None, None, kernel.shape[2]))
    single.set_weights([kernel[..., k:] - kernel[..., :k], bias[k:] - bias[:k]])
    return single
