"""The losses of Fast and Faster R-CNN. Everything is float32.

Letters: B images, S sampled anchors or RoIs an image, K classes.
"""

import tensorflow as tf


def smooth_l1(difference, beta=1.0):
    """Smooth L1 of Fast R-CNN, equation 3, with the point where the parabola meets the line as an argument.

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
    """The two terms of Faster R-CNN, equation 1, over sampled anchors, without λ.

    Args:
        objectness: float32 `[B, S]`, logits; a two-way softmax enters as the difference of its logits.
        deltas: float32 `[B, S, 4]`, predicted.
        targets: float32 `[B, S, 4]`.
        positive: bool `[B, S]`.
        valid: bool `[B, S]`.
        beta: of the smooth L1.
        locations: int scalar, what divides the box loss: N_reg of the paper, the places of the sliding window
            in all images. By default the sampled anchors, N_cls, divide it too (py-faster-rcnn).

    Returns:
        Two float32 scalars, class loss and box loss. Neither divides by the number of positive anchors, so
        that an image with one small object weighs as much as a crowded one.
    """
    sampled = tf.maximum(tf.reduce_sum(tf.cast(valid, tf.float32)), 1.0)
    cross_entropy = tf.nn.sigmoid_cross_entropy_with_logits(tf.cast(positive, tf.float32), objectness)
    class_loss = tf.reduce_sum(tf.where(valid, cross_entropy, 0.0)) / sampled
    distance = tf.reduce_sum(smooth_l1(deltas - targets, beta), axis=-1)
    divisor = sampled if locations is None else tf.cast(locations, tf.float32)
    box_loss = tf.reduce_sum(tf.where(positive, distance, 0.0)) / divisor
    return class_loss, box_loss


def detection_loss(class_logits, deltas, labels, targets, positive, valid, beta=1.0, deviation=None):
    """The multi-task loss of Fast R-CNN (equation 1) over sampled RoIs: L_cls and [u ≥ 1] L_loc, without λ.

    Args:
        class_logits: float32 `[B, S, K + 1]`, background first.
        deltas: float32 `[B, S, K, 4]`, one box a class, or `[B, S, 1, 4]`, class-agnostic.
        labels: int32 `[B, S]`, 0…K−1; meaningful where positive.
        targets: float32 `[B, S, 4]`.
        positive: bool `[B, S]`, u ≥ 1.
        valid: bool `[B, S]`.
        beta: of the smooth L1.
        deviation: float32 `[K, 4]` or `[1, 4]`, by which differences of deltas are divided in each class.

    Returns:
        Two float32 scalars, class loss and box loss, both divided by the number of sampled RoIs.
    """
    sampled = tf.maximum(tf.reduce_sum(tf.cast(valid, tf.float32)), 1.0)
    labels = tf.where(positive, labels, -1)
    cross_entropy = tf.nn.sparse_softmax_cross_entropy_with_logits(labels + 1, class_logits)
    class_loss = tf.reduce_sum(tf.where(valid, cross_entropy, 0.0)) / sampled

    own_class = tf.maximum(labels, 0) if deltas.shape[2] != 1 else tf.zeros_like(labels)
    deltas = tf.gather(deltas, own_class, axis=2, batch_dims=2)
    difference = deltas - targets
    if deviation is not None:
        difference /= tf.gather(deviation, own_class)
    distance = tf.reduce_sum(smooth_l1(difference, beta), axis=-1)
    box_loss = tf.reduce_sum(tf.where(positive, distance, 0.0)) / sampled
    return class_loss, box_loss
