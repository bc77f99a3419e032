"""Losses of Fast and Faster R-CNN, and alternatives for the head. Everything is float32.

Letters: B images, S sampled anchors or RoIs per image, K classes.
"""

from typing import Any, Self

import keras
import numpy as np
import tensorflow as tf

from keras_frcnn import boxes as box_ops
from keras_frcnn import replicas


def smooth_l1(difference: tf.Tensor, beta: float = 1.0) -> tf.Tensor:
    """Smooth L1 (Fast R-CNN, equation 3); `beta` is the point where the parabola meets the line.

    Args:
        difference: float32, predicted minus target deltas.
        beta: 1/σ²; 1 in Fast R-CNN, 1/9 in the RPN of py-faster-rcnn, 0 is plain L1.

    Returns:
        float32 of the same shape.

    Example:
        >>> smooth_l1(tf.constant([0.5, -2.0])).numpy().tolist()
        [0.125, 1.5]
    """
    distance = tf.abs(difference)
    if beta == 0:
        return distance
    return tf.where(distance < beta, 0.5 * tf.square(distance) / beta, distance - 0.5 * beta)


def rpn_loss(
    objectness: tf.Tensor,
    deltas: tf.Tensor,
    targets: tf.Tensor,
    positive: tf.Tensor,
    valid: tf.Tensor,
    beta: float = 1.0 / 9.0,
    locations: tf.Tensor | int | None = None,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Compute the two loss terms of Faster R-CNN, equation 1, over sampled anchors, without λ.

    Args:
        objectness: float32 `[B, S]`, logits; the difference of the logits if they are a two-way softmax's.
        deltas: float32 `[B, S, 4]`, predicted.
        targets: float32 `[B, S, 4]`, the correct deltas; meaningful where positive.
        positive: bool `[B, S]`, whether the anchor is foreground.
        valid: bool `[B, S]`, whether the anchor counts; False in padding.
        beta: see `smooth_l1`.
        locations: int scalar, divisor of the box loss: N_reg of the paper, the number of sliding-window
            positions in all images. By default it is N_cls, the sampled anchors (py-faster-rcnn).

    Returns:
        Two float32 scalars, class loss and box loss. Neither is divided by the number of positive anchors,
        so that one positive anchor weighs as much in any image.

    Example:
        >>> objectness, deltas = tf.zeros([1, 2]), tf.zeros([1, 2, 4])
        >>> targets = tf.constant([[[1.0, 0, 0, 0], [0, 0, 0, 0]]])
        >>> positive, valid = tf.constant([[True, False]]), tf.constant([[True, True]])
        >>> terms = rpn_loss(objectness, deltas, targets, positive, valid)
        >>> [round(float(term), 4) for term in terms]  # ln 2 and (1 − 1/18) / 2
        [0.6931, 0.4722]
    """
    sampled = tf.maximum(replicas.total(tf.reduce_sum(tf.cast(valid, tf.float32))), 1.0)
    cross_entropy = tf.nn.sigmoid_cross_entropy_with_logits(tf.cast(positive, tf.float32), objectness)
    class_loss = tf.reduce_sum(tf.where(valid, cross_entropy, 0.0)) / sampled
    distance = tf.reduce_sum(smooth_l1(deltas - targets, beta), axis=-1)
    divisor = sampled if locations is None else replicas.total(tf.cast(locations, tf.float32))
    box_loss = tf.reduce_sum(tf.where(positive, distance, 0.0)) / divisor
    return class_loss, box_loss


class HeadLoss:
    """Base of the losses of the head: saved with a model by their configuration.

    A subclass has a method `__call__`, for classes like that of `CrossEntropy`, for boxes like that of
    `SmoothL1`.
    """

    def get_config(self) -> dict[str, Any]:
        """Arguments of the constructor, as plain values: a dict."""
        return {}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Make the loss from the result of `get_config`."""
        return cls(**config)


@keras.saving.register_keras_serializable("keras_frcnn")
class CrossEntropy(HeadLoss):
    """Cross entropy of the softmax over background and classes (Fast R-CNN, section 2.3).

    Example:
        >>> loss = CrossEntropy()(tf.zeros([1, 1, 2]), tf.constant([[1]]))
        >>> round(float(loss[0, 0]), 4)  # ln 2
        0.6931
    """

    def __call__(self, class_logits: tf.Tensor, columns: tf.Tensor) -> tf.Tensor:
        """Loss of each RoI.

        Args:
            class_logits: float32 `[B, S, K + 1]`, background first.
            columns: int32 `[B, S]`, the correct column for each RoI.

        Returns:
            float32 `[B, S]`.
        """
        return tf.nn.sparse_softmax_cross_entropy_with_logits(columns, class_logits)


@keras.saving.register_keras_serializable("keras_frcnn")
class Focal(HeadLoss):
    """Focal loss (Lin et al., 2017, equation 4) over the softmax: RoIs classified well count less.

    Args:
        gamma: float, strength of this effect, at least 0; 0 is the cross entropy, 2 is used in the paper.

    Example:
        >>> loss = Focal()(tf.zeros([1, 1, 2]), tf.constant([[1]]))
        >>> round(float(loss[0, 0]), 4)  # ln 2 / 4
        0.1733
    """

    def __init__(self, gamma: float = 2.0):
        self.gamma = float(gamma)

    def __call__(self, class_logits: tf.Tensor, columns: tf.Tensor) -> tf.Tensor:
        """Loss of each RoI; see `CrossEntropy`."""
        cross_entropy = tf.nn.sparse_softmax_cross_entropy_with_logits(columns, class_logits)
        # expm1 avoids the cancellation of 1 − exp(−x) near 0. Below 1, the power has no finite slope at 0.
        miss = tf.maximum(-tf.math.expm1(-cross_entropy), np.finfo("float32").tiny)
        return tf.pow(miss, self.gamma) * cross_entropy

    def get_config(self) -> dict[str, Any]:
        return {"gamma": self.gamma}


@keras.saving.register_keras_serializable("keras_frcnn")
class SmoothL1(HeadLoss):
    """Smooth L1 of the deltas (Fast R-CNN, equations 2 and 3).

    Args:
        beta: float, see `smooth_l1`.

    Example:
        >>> SmoothL1(beta=0.5).get_config()
        {'beta': 0.5}
    """

    def __init__(self, beta: float = 1.0):
        self.beta = float(beta)

    def __call__(
        self, deltas: tf.Tensor, sample: Any, coder: box_ops.BoxCoder, deviation: tf.Tensor | None = None
    ) -> tf.Tensor:
        """Loss of each RoI, meaningful only for positive RoIs.

        Args:
            deltas: float32 `[B, S, 4]`, predicted for the class of each RoI.
            sample: `RoISample`.
            coder: `BoxCoder` of the deltas.
            deviation: float32 `[B, S, 4]`, divisor of the differences of deltas; None is 1.

        Returns:
            float32 `[B, S]`.
        """
        difference = deltas - sample.deltas
        if deviation is not None:
            difference /= deviation
        return tf.reduce_sum(smooth_l1(difference, self.beta), axis=-1)

    def get_config(self) -> dict[str, Any]:
        return {"beta": self.beta}


@keras.saving.register_keras_serializable("keras_frcnn")
class GIoU(HeadLoss):
    """1 − generalized IoU of the decoded box and its object (Rezatofighi et al., 2019, algorithm 1).

    Example:
        >>> rois, boxes = tf.constant([[[0.0, 0, 1, 1]]]), tf.constant([[[2.0, 0, 3, 1]]])
        >>> zero, yes, deltas = tf.zeros([1, 1], tf.int32), tf.ones([1, 1], tf.bool), tf.zeros([1, 1, 4])
        >>> sample = keras_frcnn.sampling.RoISample(rois, zero, boxes, deltas, yes, yes, zero)
        >>> round(float(GIoU()(deltas, sample, keras_frcnn.boxes.BoxCoder())[0, 0]), 4)  # 1 + 1/3
        1.3333
    """

    def __call__(
        self, deltas: tf.Tensor, sample: Any, coder: box_ops.BoxCoder, deviation: tf.Tensor | None = None
    ) -> tf.Tensor:
        """Loss of each RoI, 0 to 2; see `SmoothL1`."""
        return 1.0 - box_ops.generalized_iou(coder.decode(deltas, sample.rois), sample.boxes)


CLASS_LOSSES = {"cross_entropy": CrossEntropy, "focal": Focal}
BOX_LOSSES = {"smooth_l1": SmoothL1, "giou": GIoU}


def detection_loss(
    class_logits: tf.Tensor,
    deltas: tf.Tensor,
    sample: Any,
    coder: box_ops.BoxCoder,
    class_loss: Any,
    box_loss: Any = None,
    deviation: tf.Tensor | None = None,
) -> tuple[tf.Tensor, tf.Tensor | None]:
    """Compute the terms L_cls and [u ≥ 1] L_loc of Fast R-CNN (equation 1) over sampled RoIs, without λ.

    Args:
        class_logits: float32 `[B, S, K + 1]`, background first.
        deltas: float32 `[B, S, K, 4]`, one box per class, or `[B, S, 1, 4]`, class-agnostic.
        sample: `RoISample`.
        coder: `BoxCoder` of the deltas.
        class_loss: loss object, such as `CrossEntropy`.
        box_loss: loss object, such as `SmoothL1`; None if boxes are not learned.
        deviation: float32 `[K, 4]` or `[1, 4]`, divisor of the differences of deltas in each class.

    Returns:
        Two float32 scalars, class loss and box loss, both divided by the number of sampled RoIs. The second
        is None without `box_loss`.

    Example:
        >>> rois, nothing = tf.constant([[[0.0, 0, 2, 2]]]), tf.zeros([1, 1, 4])
        >>> zero, yes = tf.zeros([1, 1], tf.int32), tf.ones([1, 1], tf.bool)
        >>> sample = keras_frcnn.sampling.RoISample(rois, zero, rois, nothing, yes, yes, zero)
        >>> logits, deltas = tf.zeros([1, 1, 3]), tf.fill([1, 1, 2, 4], 2.0)
        >>> coder = keras_frcnn.boxes.BoxCoder()
        >>> terms = detection_loss(logits, deltas, sample, coder, CrossEntropy(), SmoothL1())
        >>> [round(float(term), 4) for term in terms]  # ln 3 and 4 · 1.5
        [1.0986, 6.0]
    """
    sampled = tf.maximum(replicas.total(tf.reduce_sum(tf.cast(sample.valid, tf.float32))), 1.0)
    labels = tf.where(sample.positive, sample.labels, -1)
    losses = class_loss(class_logits, labels + 1)
    class_term = tf.reduce_sum(tf.where(sample.valid, losses, 0.0)) / sampled
    if box_loss is None:
        return class_term, None
    own_class = tf.maximum(labels, 0) if deltas.shape[2] != 1 else tf.zeros_like(labels)
    deltas = tf.gather(deltas, own_class, axis=2, batch_dims=2)
    deviation = None if deviation is None else tf.gather(deviation, own_class)
    losses = box_loss(deltas, sample, coder, deviation)
    return class_term, tf.reduce_sum(tf.where(sample.positive, losses, 0.0)) / sampled
