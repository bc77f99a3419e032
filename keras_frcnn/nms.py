"""Non-maximum suppression and the post-processing of a detector's head. Everything is float32.

Letters: B images, N boxes, G groups (classes or pyramid levels), D detections an image.
"""

import tensorflow as tf

from keras_frcnn import boxes as box_ops
from keras_frcnn import kernels
from keras_frcnn.static_nms import static_nms


def grouped_nms(boxes, scores, iou_threshold, score_threshold, max_outputs):
    """Greedy non-maximum suppression within each group, then the best of all groups.

    Args:
        boxes: float32 `[B, N, 4]`, or `[B, N, G, 4]` where each group has boxes of its own, pixels.
        scores: float32 `[B, N, G]`; a score at or below the threshold takes no part.
        iou_threshold: a box that overlaps a better one by more than this is dropped.
        score_threshold: scores must exceed it.
        max_outputs: D, rows of the answer.

    Returns:
        boxes: float32 `[B, D, 4]`, best first, 0 in padding rows.
        scores: float32 `[B, D]`, 0 in padding rows.
        groups: int32 `[B, D]`, 0 in padding rows.
        count: int32 `[B]`, valid rows.
    """
    if boxes.shape.rank == 3:
        boxes = boxes[:, :, None, :]
    if kernels.for_xla():
        return static_nms(boxes, scores, iou_threshold, score_threshold, max_outputs)
    # The fastest correct kernel on a CPU by six times. On a GPU a few hundred kB cross to the host.
    kept = tf.image.combined_non_max_suppression(
        boxes,
        scores,
        max_output_size_per_class=max_outputs,
        max_total_size=max_outputs,
        iou_threshold=iou_threshold,
        score_threshold=score_threshold,
        clip_boxes=False,
    )
    return kept.nmsed_boxes, kept.nmsed_scores, tf.cast(kept.nmsed_classes, tf.int32), kept.valid_detections


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
    """Turn the head's answer for each RoI into the detections of each image.

    Args:
        probabilities: float32 `[B, N, K + 1]`, softmax with background first.
        boxes: float32 `[B, N, K, 4]` or class-agnostic `[B, N, 1, 4]`, decoded, pixels.
        valid: bool `[B, N]`, false for padding proposals.
        image_shapes: `[B, 2]`, height and width that boxes are clipped to, pixels.
        score_threshold: detections score above it.
        iou_threshold: of the per-class non-maximum suppression.
        max_detections: D, at most this many an image over all classes.
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
