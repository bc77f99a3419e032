"""Non-maximum suppression in static shapes, which XLA can compile.

Letters: B images, N boxes, G groups, M = B·G groups of all images, D boxes that a group keeps, T boxes per
tile.
"""

import tensorflow as tf

TILE = 128
LOWEST = -float("inf")


def static_nms(boxes, scores, iou_threshold, score_threshold, max_outputs):
    """`nms.grouped_nms` in static shapes, with the same arguments, returns and order of equal scores.

    Boxes are processed tile by tile, best first, until every group is full or exhausted. Each step compares
    T boxes of a group with the D that it keeps and with each other, which bounds the memory.
    """
    batch, groups = tf.shape(scores)[0], tf.shape(scores)[2]
    boxes, scores = _sorted(boxes, scores, score_threshold)
    boxes, scores, count = _suppressed(boxes, scores, iou_threshold, max_outputs)

    filled = tf.range(max_outputs) < count[:, None]
    scores = tf.reshape(tf.where(filled, scores, LOWEST), [batch, groups * max_outputs])
    boxes = tf.reshape(tf.transpose(boxes, [0, 2, 1]), [batch, groups * max_outputs, 4])
    scores, index = tf.math.top_k(scores, max_outputs)
    count = tf.minimum(tf.reduce_sum(tf.reshape(count, [batch, groups]), axis=1), max_outputs)
    filled = tf.sequence_mask(count, max_outputs)
    boxes = tf.where(filled[:, :, None], tf.gather(boxes, index, axis=1, batch_dims=1), 0.0)
    return boxes, tf.where(filled, scores, 0.0), tf.where(filled, index // max_outputs, 0), count


def _sorted(boxes, scores, score_threshold):
    """Boxes `[M, N', 4]` and scores `[M, N']` of each group, best first; N' fills whole tiles, at least one.

    Ignored boxes score −∞, also those with NaN, which XLA would sort before all numbers.
    """
    batch, count, groups = tf.unstack(tf.shape(scores))
    padded = tf.maximum(-(-count // TILE), 1) * TILE
    missing = padded - count
    scores = tf.where(scores > score_threshold, scores, LOWEST)
    scores = tf.pad(scores, [[0, 0], [0, missing], [0, 0]], constant_values=LOWEST)
    scores = tf.reshape(tf.transpose(scores, [0, 2, 1]), [batch * groups, padded])
    scores, index = tf.math.top_k(scores, padded)
    boxes = tf.pad(boxes, [[0, 0], [0, missing], [0, 0], [0, 0]])
    boxes = tf.broadcast_to(boxes, [batch, padded, groups, 4])
    boxes = tf.reshape(tf.transpose(boxes, [0, 2, 1, 3]), [batch * groups, padded, 4])
    return tf.gather(boxes, index, axis=1, batch_dims=1), scores


def _suppressed(boxes, scores, iou_threshold, max_outputs):
    """Suppress sorted boxes: the boxes `[M, 4, D]`, scores `[M, D]` and count `[M]` that each group keeps."""
    groups = tf.shape(scores)[0]
    # Put coordinates first, so that XLA compares whole vectors of boxes.
    boxes = tf.transpose(tf.reshape(boxes, [groups, -1, TILE, 4]), [0, 1, 3, 2])
    scores = tf.reshape(scores, [groups, -1, TILE])
    tiles = tf.shape(scores)[1]
    slots = tf.range(max_outputs)

    def wanted(tile, kept, kept_scores, count):
        best = tf.gather(scores[:, :, 0], tf.minimum(tile, tiles - 1), axis=1)
        return (tile < tiles) & tf.reduce_any((best > LOWEST) & (count < max_outputs))

    def one_tile(tile, kept, kept_scores, count):
        own, own_scores = tf.gather(boxes, tile, axis=1), tf.gather(scores, tile, axis=1)
        filled = slots < count[:, None]
        beaten = tf.reduce_any(filled[:, :, None] & (_iou(kept, own) > iou_threshold), axis=1)
        remaining = _undominated(own, (own_scores > LOWEST) & ~beaten, iou_threshold)
        # The k-th free slot takes the k-th remaining box.
        passed = tf.cumsum(tf.cast(remaining, tf.int32), axis=1)
        place = slots - count[:, None]
        source = tf.reduce_sum(tf.cast(passed[:, :, None] <= place[:, None, :], tf.int32), axis=1)
        source = tf.minimum(source, TILE - 1)
        corners = tf.tile(source[:, None, :], [1, 4, 1])
        kept = tf.where(filled[:, None, :], kept, tf.gather(own, corners, axis=2, batch_dims=2))
        kept_scores = tf.where(filled, kept_scores, tf.gather(own_scores, source, axis=1, batch_dims=1))
        return tile + 1, kept, kept_scores, tf.minimum(count + passed[:, -1], max_outputs)

    kept, kept_scores = tf.zeros([groups, 4, max_outputs]), tf.zeros([groups, max_outputs])
    state = 0, kept, kept_scores, tf.zeros([groups], tf.int32)
    return tf.while_loop(wanted, one_tile, state)[1:]


def _undominated(boxes, alive, iou_threshold):
    """Greedy suppression within a sorted tile.

    Args:
        boxes: float32 `[M, 4, T]`.
        alive: bool `[M, T]`, the boxes that take part.

    Returns:
        bool `[M, T]`, the boxes that no better remaining box overlaps.
    """
    better = tf.range(TILE)[:, None] < tf.range(TILE)
    beats = better & (_iou(boxes, boxes) > iou_threshold)

    def again(_, remaining):
        return remaining, alive & ~tf.reduce_any(beats & remaining[:, :, None], axis=1)

    # Iterate to a fixed point; each round settles at least one more box, in score order.
    guesses = again(None, alive)
    return tf.while_loop(lambda last, remaining: tf.reduce_any(last != remaining), again, guesses)[1]


def _iou(boxes, others):
    """`boxes.iou` with coordinates first: `[M, 4, N]` and `[M, 4, N']` give `[M, N, N']`."""
    x1, y1, x2, y2 = tf.unstack(boxes[:, :, :, None], axis=1)
    u1, v1, u2, v2 = tf.unstack(others[:, :, None, :], axis=1)
    width = tf.maximum(tf.minimum(x2, u2) - tf.maximum(x1, u1), 0.0)
    height = tf.maximum(tf.minimum(y2, v2) - tf.maximum(y1, v1), 0.0)
    shared = width * height
    return tf.math.divide_no_nan(shared, (x2 - x1) * (y2 - y1) + (u2 - u1) * (v2 - v1) - shared)
