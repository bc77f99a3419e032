"""Losses of Fast and Faster R-CNN, and alternatives for the head. Everything is float32.

Letters: B images, S sampled anchors or RoIs per image, K classes.
"""

import keras
import numpy as np
import tensorflow as tf

from keras_frcnn import boxes as box_ops


def smooth_l1(difference, beta=1.0):
    """Smooth L1 (Fast R-CNN, equation 3); `beta` is the point where the parabola meets the line.

    Args:
        difference: float32, predicted minus target deltas.
        beta: 1/σ²; 1 in Fast R-CNN, 1/9 in the RPN of py-faster-rcnn, 0 is plain L1.

    Returns:
        float32 of the same shape.
    """
    distance = tf.abs(difference)
    if beta == 0:
        return distance
    return tf.where(distance < beta, 0.5 * tf.square(distance) / beta, distance - 0.5 * beta)


def rpn_loss(objectness, deltas, targets, positive, valid, beta=1.0 / 9.0, locations=None):
    """Compute the two loss terms of Faster R-CNN, equation 1, over sampled anchors, without λ.

    Args:
        objectness: float32 `[B, S]`, logits; the difference of the logits if they are a two-way softmax's.
        deltas: float32 `[B, S, 4]`, predicted.
        targets: float32 `[B, S, 4]`.
        positive: bool `[B, S]`.
        valid: bool `[B, S]`.
        beta: see `smooth_l1`.
        locations: int scalar, divisor of the box loss: N_reg of the paper, the number of sliding-window
            positions in all images. By default it is N_cls, the sampled anchors (py-faster-rcnn).

    Returns:
        Two float32 scalars, class loss and box loss. Neither is divided by the number of positive anchors,
        so that one positive anchor weighs as much in any image.
    """
    sampled = tf.maximum(tf.reduce_sum(tf.cast(valid, tf.float32)), 1.0)
    cross_entropy = tf.nn.sigmoid_cross_entropy_with_logits(tf.cast(positive, tf.float32), objectness)
    class_loss = tf.reduce_sum(tf.where(valid, cross_entropy, 0.0)) / sampled
    distance = tf.reduce_sum(smooth_l1(deltas - targets, beta), axis=-1)
    divisor = sampled if locations is None else tf.cast(locations, tf.float32)
    box_loss = tf.reduce_sum(tf.where(positive, distance, 0.0)) / divisor
    return class_loss, box_loss


class HeadLoss:
    """Base of the losses of the head: saved with a model by their configuration."""

    def get_config(self):
        return {}

    @classmethod
    def from_config(cls, config):
        return cls(**config)


@keras.saving.register_keras_serializable("keras_frcnn")
class CrossEntropy(HeadLoss):
    """Cross entropy of the softmax over background and classes (Fast R-CNN, section 2.3)."""

    def __call__(self, class_logits, columns):
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
        gamma: strength of this effect, at least 0; 0 is the cross entropy, 2 is used in the paper.
    """

    def __init__(self, gamma=2.0):
        self.gamma = float(gamma)

    def __call__(self, class_logits, columns):
        """Loss of each RoI; see `CrossEntropy`."""
        cross_entropy = tf.nn.sparse_softmax_cross_entropy_with_logits(columns, class_logits)
        # expm1 avoids the cancellation of 1 − exp(−x) near 0. Below 1, the power has no finite slope at 0.
        miss = tf.maximum(-tf.math.expm1(-cross_entropy), np.finfo("float32").tiny)
        return tf.pow(miss, self.gamma) * cross_entropy

    def get_config(self):
        return {"gamma": self.gamma}


@keras.saving.register_keras_serializable("keras_frcnn")
class SmoothL1(HeadLoss):
    """Smooth L1 of the deltas (Fast R-CNN, equations 2 and 3).

    Args:
        beta: see `smooth_l1`.
    """

    def __init__(self, beta=1.0):
        self.beta = float(beta)

    def __call__(self, deltas, sample, coder, deviation=None):
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

    def get_config(self):
        return {"beta": self.beta}


@keras.saving.register_keras_serializable("keras_frcnn")
class GIoU(HeadLoss):
    """1 − generalized IoU of the decoded box and its object (Rezatofighi et al., 2019, algorithm 1)."""

    def __call__(self, deltas, sample, coder, deviation=None):
        """Loss of each RoI, 0 to 2; see `SmoothL1`."""
        return 1.0 - box_ops.generalized_iou(coder.decode(deltas, sample.rois), sample.boxes)


CLASS_LOSSES = {"cross_entropy": CrossEntropy, "focal": Focal}
BOX_LOSSES = {"smooth_l1": SmoothL1, "giou": GIoU}


def detection_loss(class_logits, deltas, sample, coder, class_loss, box_loss=None, deviation=None):
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
    """
    sampled = tf.maximum(tf.reduce_sum(tf.cast(sample.valid, tf.float32)), 1.0)
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
