"""Geometry of axis-aligned boxes.

Boxes are float32 `xyxy` in absolute pixels with half-open corners: width = x2 − x1. Every function broadcasts
over leading dimensions. Letters: N, M numbers of boxes.
"""

import math
from collections.abc import Sequence

import tensorflow as tf

# Larger deltas would grow a 16 px anchor beyond 1000 px. torchvision and detectron2 clamp here; Caffe and
# chainercv do not.
LOG_SCALE_LIMIT = math.log(1000.0 / 16.0)


def area(boxes: tf.Tensor) -> tf.Tensor:
    """Areas of boxes.

    Args:
        boxes: float32 `[..., 4]`, pixels.

    Returns:
        float32 `[...]`, square pixels; 0 where a box is inverted.
    """
    size = tf.maximum(boxes[..., 2:] - boxes[..., :2], 0.0)
    return size[..., 0] * size[..., 1]


def intersection(boxes: tf.Tensor, others: tf.Tensor) -> tf.Tensor:
    """Intersection area of each box with each of the others.

    Args:
        boxes: float32 `[..., N, 4]`, pixels.
        others: float32 `[..., M, 4]`, pixels.

    Returns:
        float32 `[..., N, M]`, square pixels.
    """
    x1, y1, x2, y2 = tf.unstack(boxes[..., :, None, :], axis=-1)
    u1, v1, u2, v2 = tf.unstack(others[..., None, :, :], axis=-1)
    width = tf.maximum(tf.minimum(x2, u2) - tf.maximum(x1, u1), 0.0)
    height = tf.maximum(tf.minimum(y2, v2) - tf.maximum(y1, v1), 0.0)
    return width * height


def iou(boxes: tf.Tensor, others: tf.Tensor) -> tf.Tensor:
    """Intersection over union of each box with each of the others.

    Args:
        boxes: float32 `[..., N, 4]`, pixels.
        others: float32 `[..., M, 4]`, pixels.

    Returns:
        float32 `[..., N, M]` in 0–1; 0 between boxes without area.

    Example:
        >>> float(iou(tf.constant([[0.0, 0, 2, 2]]), tf.constant([[1.0, 0, 3, 2]]))[0, 0])  # 2 / 6
        0.3333333432674408
    """
    shared = intersection(boxes, others)
    union = area(boxes)[..., :, None] + area(others)[..., None, :] - shared
    return tf.math.divide_no_nan(shared, union)


def generalized_iou(boxes: tf.Tensor, others: tf.Tensor) -> tf.Tensor:
    """Generalized IoU of corresponding boxes (Rezatofighi et al., 2019, algorithm 1).

    Args:
        boxes, others: float32 `[..., 4]`, pixels.

    Returns:
        float32 `[...]` in −1–1: the IoU minus the share of the smallest enclosing box that neither box fills.

    Example:
        >>> float(generalized_iou(tf.constant([0.0, 0, 1, 1]), tf.constant([2.0, 0, 3, 1])))  # −1 / 3
        -0.3333333432674408
    """
    low, high = tf.maximum(boxes[..., :2], others[..., :2]), tf.minimum(boxes[..., 2:], others[..., 2:])
    shared = area(tf.concat([low, high], axis=-1))
    union = area(boxes) + area(others) - shared
    low, high = tf.minimum(boxes[..., :2], others[..., :2]), tf.maximum(boxes[..., 2:], others[..., 2:])
    around = area(tf.concat([low, high], axis=-1))
    return tf.math.divide_no_nan(shared, union) - tf.math.divide_no_nan(around - union, around)


def clip(boxes: tf.Tensor, shapes: tf.Tensor) -> tf.Tensor:
    """Clip boxes to their images.

    Args:
        boxes: float32 `[..., N, 4]`, pixels.
        shapes: `[..., 2]`, height and width of the image, pixels.

    Returns:
        float32 `[..., N, 4]`.
    """
    shapes = tf.cast(shapes, tf.float32)[..., None, :]
    limits = tf.concat([shapes[..., ::-1], shapes[..., ::-1]], axis=-1)
    return tf.clip_by_value(boxes, 0.0, limits)


def at_least(boxes: tf.Tensor, size: float) -> tf.Tensor:
    """Whether both sides of a box are at least `size` long.

    Args:
        boxes: float32 `[..., 4]`, pixels.
        size: smallest side, pixels.

    Returns:
        bool `[...]`.
    """
    return tf.reduce_all(boxes[..., 2:] - boxes[..., :2] >= size, axis=-1)


def flip_horizontally(boxes: tf.Tensor, width) -> tf.Tensor:
    """Mirror boxes in an image of the given width (pixels)."""
    x1, y1, x2, y2 = tf.unstack(boxes, axis=-1)
    return tf.stack([width - x2, y1, width - x1, y2], axis=-1)


def expand(boxes: tf.Tensor, factor: float) -> tf.Tensor:
    """Grow boxes `[..., 4]` about their centers by a factor; they may extend beyond the image."""
    margin = 0.5 * (factor - 1.0) * (boxes[..., 2:] - boxes[..., :2])
    return tf.concat([boxes[..., :2] - margin, boxes[..., 2:] + margin], axis=-1)


def rescale(boxes: tf.Tensor, old_shapes: tf.Tensor, new_shapes: tf.Tensor) -> tf.Tensor:
    """Rescale boxes together with their resized images.

    Args:
        boxes: float32 `[..., N, 4]`, pixels of the old images.
        old_shapes, new_shapes: `[..., 2]`, heights and widths, pixels.

    Returns:
        float32 `[..., N, 4]`, pixels of the new images, clipped to them.
    """
    ratios = tf.cast(new_shapes, tf.float32) / tf.cast(old_shapes, tf.float32)
    return clip(boxes * tf.gather(ratios, [1, 0, 1, 0], axis=-1)[..., None, :], new_shapes)


def yxyx_normalized(boxes: tf.Tensor, shapes: tf.Tensor) -> tf.Tensor:
    """Turn `xyxy` pixels into the `ymin, xmin, ymax, xmax` fractions of the TF Object Detection API.

    Args:
        boxes: float32 `[..., N, 4]`, pixels.
        shapes: `[..., 2]`, height and width, pixels.

    Returns:
        float32 `[..., N, 4]` in 0–1.
    """
    shapes = tf.cast(shapes, tf.float32)[..., None, :]
    x1, y1, x2, y2 = tf.unstack(boxes, axis=-1)
    return tf.stack([y1, x1, y2, x2], axis=-1) / tf.concat([shapes, shapes], axis=-1)


def is_box(boxes: tf.Tensor) -> tf.Tensor:
    """Whether each row of `[..., 4]` is a box with an area, not padding."""
    return (boxes[..., 2] > boxes[..., 0]) & (boxes[..., 3] > boxes[..., 1])


class BoxCoder:
    """Box regression targets: the parametrization (t_x, t_y, t_w, t_h) of R-CNN, appendix C.

    Args:
        weights: factors of the four deltas. (1, 1, 1, 1) for the RPN; (10, 10, 5, 5) for the head, which
            equals dividing by the standard deviations (0.1, 0.1, 0.2, 0.2) of py-faster-rcnn.
        log_scale_limit: clamp of t_w and t_h before exp; log(1000/16) in torchvision and detectron2.
    """

    def __init__(
        self, weights: Sequence[float] = (1.0, 1.0, 1.0, 1.0), log_scale_limit: float = LOG_SCALE_LIMIT
    ):
        self.weights = tuple(float(weight) for weight in weights)
        self.log_scale_limit = float(log_scale_limit)

    def encode(self, boxes: tf.Tensor, references: tf.Tensor) -> tf.Tensor:
        """Deltas that move references onto boxes.

        Args:
            boxes: float32 `[..., 4]`, the targets, pixels.
            references: float32 `[..., 4]`, anchors or proposals, pixels.

        Returns:
            float32 `[..., 4]`. Sides count as at least 0.001 pixels, so the result is finite even for
            padding.
        """
        center, size = _center_and_size(boxes)
        reference_center, reference_size = _center_and_size(references)
        size, reference_size = tf.maximum(size, 1e-3), tf.maximum(reference_size, 1e-3)
        shift = (center - reference_center) / reference_size
        return tf.concat([shift, tf.math.log(size / reference_size)], axis=-1) * self.weights

    def decode(self, deltas: tf.Tensor, references: tf.Tensor) -> tf.Tensor:
        """Boxes that result from applying deltas to references; the inverse of `encode`.

        Args:
            deltas: float32 `[..., 4]`.
            references: float32 `[..., 4]`, pixels; broadcast against `deltas`.

        Returns:
            float32 `[..., 4]`, pixels, not clipped.
        """
        deltas = deltas / self.weights
        reference_center, reference_size = _center_and_size(references)
        center = reference_center + deltas[..., :2] * reference_size
        size = reference_size * tf.exp(tf.minimum(deltas[..., 2:], self.log_scale_limit))
        return tf.concat([center - 0.5 * size, center + 0.5 * size], axis=-1)


def _center_and_size(boxes):
    size = boxes[..., 2:] - boxes[..., :2]
    return boxes[..., :2] + 0.5 * size, size
