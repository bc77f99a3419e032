"""Write the geometry of boxes, and their suppression, as ONNX nodes.

Boxes are float32 `[..., 4]`, xyxy, pixels. Letters: B images, N boxes, K values kept.
"""

import numpy as np

LOWEST = -np.float32("inf")


def decode(graph, coder, deltas, references):
    """`BoxCoder.decode`."""
    deltas = graph.Mul(deltas, np.array([1 / weight for weight in coder.weights], np.float32))
    low, high = (graph.part(references, start, start + 2, -1) for start in (0, 2))
    size = graph.Sub(high, low)
    center = graph.Add(low, graph.Mul(size, 0.5))
    center = graph.Add(center, graph.Mul(graph.part(deltas, 0, 2, -1), size))
    growth = graph.Exp(graph.Min(graph.part(deltas, 2, 4, -1), float(coder.log_scale_limit)))
    half = graph.Mul(graph.Mul(size, growth), 0.5)
    return graph.join(graph.Sub(center, half), graph.Add(center, half), axis=-1)


def clip(graph, boxes, shape):
    """Clip boxes to an image; `shape` is its height and width, int64 `[1]` each."""
    height, width = shape
    limits = graph.to(graph.join(width, height, width, height), "FLOAT")
    return graph.Min(graph.Max(boxes, 0.0), limits)


def at_least(graph, boxes, size):
    """Whether both sides are at least `size` pixels long, bool `[...]`."""
    sides = graph.Sub(graph.part(boxes, 2, 4, -1), graph.part(boxes, 0, 2, -1))
    shortest = graph.ReduceMin(sides, axes=[-1], keepdims=0)
    return graph.GreaterOrEqual(shortest, float(size))


def suppressed(graph, boxes, scores, iou_threshold, max_outputs):
    """Keep the scores of the boxes that no better one of the same row overlaps.

    Args:
        graph: `OnnxGraph`.
        boxes: float32 `[B, N, 4]`.
        scores: float32 `[B, N]`, −∞ for boxes that take no part.
        iou_threshold: a box that overlaps a better one by more than this is dropped.
        max_outputs: most boxes of a row.

    Returns:
        float32 `[B, N]`, −∞ for dropped boxes.
    """
    kept = graph.NonMaxSuppression(
        boxes,
        graph.Unsqueeze(scores, [1]),
        [max_outputs],
        [float(iou_threshold)],
        [float(np.finfo(np.float32).min)],
    )
    places = graph.Gather(kept, [0, 2], axis=1)
    nothing = graph.Expand(LOWEST, graph.Shape(scores))
    return graph.ScatterND(nothing, places, graph.GatherND(scores, places))


def best(graph, scores, boxes, count):
    """Sort boxes by score, equal ones by their place, and keep the first.

    Args:
        graph: `OnnxGraph`.
        scores: float32 `[B, N]`.
        boxes: float32 `[B, N, 4]`.
        count: K, int64 `[1]`.

    Returns:
        scores `[B, K]`, boxes `[B, K, 4]` and places int64 `[B, K]`.
    """
    scores, places = graph.TopK(scores, count, outputs=2)
    return scores, graph.GatherND(boxes, graph.Unsqueeze(places, [-1]), batch_dims=1), places


def are_real(graph, scores):
    """Whether rows are boxes rather than dropped ones, bool `[...]`."""
    return graph.Greater(scores, float(np.finfo(np.float32).min))
