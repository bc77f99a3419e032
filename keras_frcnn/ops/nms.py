"""Non-maximum suppression and the post-processing of a detector's head. Everything is float32.

Letters: B images, N boxes, G groups (classes or pyramid levels), D detections per image.
"""

import tensorflow as tf

from keras_frcnn import boxes as box_ops
from keras_frcnn.ops import kernels
from keras_frcnn.ops.static_nms import static_nms

RANKS = 2.0**24


def grouped_nms(boxes, scores, iou_threshold, score_threshold, max_outputs):
    """Greedy non-maximum suppression within each group, then the best of all groups.

    Args:
        boxes: float32 `[B, N, 4]`, or `[B, N, G, 4]` if each group has its own boxes, pixels.
        scores: float32 `[B, N, G]` of any range, also logits; NaN and scores at or below the threshold are
            ignored.
        iou_threshold: a box that overlaps a better one by more than this is dropped.
        score_threshold: scores must exceed it.
        max_outputs: D, rows of the result.

    Returns:
        boxes: float32 `[B, D, 4]`, best first, 0 in padding rows. Equal scores are ordered by group, then
            by box.
        scores: float32 `[B, D]`, 0 in padding rows.
        groups: int32 `[B, D]`, 0 in padding rows.
        count: int32 `[B]`, valid rows.
    """
    if boxes.shape.rank == 3:
        boxes = tf.expand_dims(boxes, 2)
    if kernels.for_xla():
        return static_nms(boxes, scores, iou_threshold, score_threshold, max_outputs)
    return _ranked_nms(boxes, scores, iou_threshold, score_threshold, max_outputs)


def _ranked_nms(boxes, scores, iou_threshold, score_threshold, max_outputs):
    """`grouped_nms` with TensorFlow's combined operation, the fastest exact kernel on a CPU.

    The operation fills free rows with score −1, sorts them among the real ones and counts them, and it orders
    equal scores arbitrarily. We therefore pass ranks instead of scores: distinct numbers in (0, 1], which
    float32 holds exactly for the 2²⁴ best boxes of a batch.
    """
    # Put groups before boxes, so that equal scores keep the documented order.
    by_group = tf.transpose(scores, [0, 2, 1])
    flat = tf.reshape(by_group, [-1])
    places = tf.where(flat > score_threshold)[:, 0]
    best, order = tf.math.top_k(tf.gather(flat, places), tf.size(places))
    ranks = 1.0 - tf.cast(tf.range(tf.size(order)), tf.float32) / RANKS
    ranks = tf.scatter_nd(tf.gather(places, order)[:, None], ranks, tf.shape(flat, tf.int64))
    ranks = tf.reshape(ranks, tf.shape(by_group))
    # On a GPU this copies a few hundred kB to the host.
    kept = tf.image.combined_non_max_suppression(
        boxes,
        tf.transpose(ranks, [0, 2, 1]),
        max_output_size_per_class=max_outputs,
        max_total_size=max_outputs,
        iou_threshold=iou_threshold,
        score_threshold=0.0,
        clip_boxes=False,
    )
    count = kept.valid_detections
    filled = tf.sequence_mask(count, max_outputs)
    row = tf.cast((1.0 - kept.nmsed_scores) * RANKS, tf.int32)
    scores = tf.gather(tf.concat([best, [0.0]], axis=0), tf.where(filled, row, tf.size(best)))
    groups = tf.where(filled, tf.cast(kept.nmsed_classes, tf.int32), 0)
    return tf.where(filled[:, :, None], kept.nmsed_boxes, 0.0), scores, groups, count


def postprocess(
    probabilities,
    boxes,
    valid,
    image_shapes,
    score_threshold,
    iou_threshold,
    max_detections,
    min_box_size=0.0,
):
    """Turn the head's output for each RoI into the detections of each image.

    Args:
        probabilities: float32 `[B, N, K + 1]`, softmax with background first.
        boxes: float32 `[B, N, K, 4]` or class-agnostic `[B, N, 1, 4]`, decoded, pixels.
        valid: bool `[B, N]`, false for padding proposals.
        image_shapes: `[B, 2]`, height and width that boxes are clipped to, pixels.
        score_threshold: detections score above it.
        iou_threshold: IoU threshold of the per-class non-maximum suppression.
        max_detections: D, largest number of detections per image over all classes.
        min_box_size: detections with a shorter side are dropped, pixels; 0.01 in torchvision.

    Returns:
        dict of "boxes" float32 `[B, D, 4]`, "scores" float32 `[B, D]`, "labels" int32 `[B, D]` (0…K−1), all
        padded with −1, and "num_detections" int32 `[B]`.
    """
    scores = tf.where(valid[:, :, None], probabilities[:, :, 1:], 0.0)
    flat = tf.reshape(boxes, [tf.shape(boxes)[0], -1, 4])
    boxes = tf.reshape(box_ops.clip(flat, image_shapes), tf.shape(boxes))
    scores = tf.where(box_ops.at_least(boxes, min_box_size), scores, 0.0)
    boxes, scores, labels, count = grouped_nms(boxes, scores, iou_threshold, score_threshold, max_detections)
    filled = tf.sequence_mask(count, max_detections)
    return {
        "boxes": tf.where(filled[:, :, None], boxes, -1.0),
        "scores": tf.where(filled, scores, -1.0),
        "labels": tf.where(filled, labels, -1),
        "num_detections": count,
    }
