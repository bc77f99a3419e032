"""Match boxes with ground truth, and sample minibatches of positives and negatives.

Letters: B images, N candidates (anchors or proposals), M ground-truth boxes, S sampled candidates.
"""

import typing

import tensorflow as tf

from keras_frcnn import boxes as box_ops
from keras_frcnn import replicas

POSITIVE, NEGATIVE, NEITHER = 1, 0, -1

# A candidate is not negative if an ignore region covers at least this share of it. py-faster-rcnn and
# Detectron do this for crowds with 0.7 (`crowd_thresh`, `TRAIN.CROWD_FILTER_THRESH`). We use 0.5 because
# COCO's evaluation forgives a detection of which a crowd covers that much.
IGNORE_COVER = 0.5


class Matcher:
    """Label each candidate positive, negative or neither, and match it with a ground-truth box.

    Args:
        positive_iou: a candidate is positive if its IoU with any ground truth is at least this.
        negative_iou: `(low, high)`; a candidate whose best IoU lies in [low, high) is negative.
        keep_best: whether the candidates with the highest IoU with a ground-truth box are also positive,
            however low that IoU is (Faster R-CNN, section 3.1.2, condition i).
    """

    def __init__(self, positive_iou, negative_iou, keep_best=False):
        self.positive_iou = float(positive_iou)
        self.negative_iou = tuple(float(bound) for bound in negative_iou)
        self.keep_best = bool(keep_best)

    def __call__(self, candidates, boxes, labels, ignore, valid):
        """Match candidates with ground truth.

        Args:
            candidates: float32 `[B, N, 4]` or `[N, 4]`, pixels.
            boxes: float32 `[B, M, 4]`, ground truth, pixels.
            labels: int `[B, M]`, −1 where a row is padding.
            ignore: bool `[B, M]`, regions that are neither rewarded nor punished.
            valid: bool `[B, N]` or `[N]`, false for candidates that are padding or not to be used.

        Returns:
            verdict: int32 `[B, N]`, 1 positive, 0 negative, −1 neither.
            match: int32 `[B, N]`, index of the ground truth with the highest IoU; meaningful where positive.
        """
        # A row of zeros stands for "no ground truth", so an image without objects needs no special case.
        # Objects come before candidates because arithmetic along the longer axis is faster.
        boxes = tf.pad(boxes, [[0, 0], [0, 1], [0, 0]])
        object_mask = tf.pad((labels >= 0) & ~ignore, [[0, 0], [0, 1]])
        region_mask = tf.pad((labels >= 0) & ignore, [[0, 0], [0, 1]])

        shared = box_ops.intersection(boxes, candidates)
        candidate_area = box_ops.area(candidates)[..., None, :]
        union = candidate_area + box_ops.area(boxes)[:, :, None] - shared
        iou = tf.math.divide_no_nan(shared, union) * tf.cast(object_mask[:, :, None], tf.float32)

        best = tf.reduce_max(iou, axis=1)
        match = tf.argmax(iou, axis=1, output_type=tf.int32)
        low, high = self.negative_iou
        positive = best >= self.positive_iou
        negative = (best >= low) & (best < high)
        if self.keep_best:
            usable = tf.where(valid[..., None, :], iou, 0.0)
            highest = tf.reduce_max(usable, axis=-1, keepdims=True)
            positive |= tf.reduce_any((usable == highest) & (usable > 0.0), axis=1)

        cover = tf.math.divide_no_nan(shared, candidate_area) * tf.cast(region_mask[:, :, None], tf.float32)
        negative &= tf.reduce_max(cover, axis=1) < IGNORE_COVER

        verdict = tf.where(positive, POSITIVE, tf.where(negative, NEGATIVE, NEITHER))
        return tf.where(valid, verdict, NEITHER), match


class BalancedSampler:
    """Draw a minibatch of candidates with a bounded share of positives.

    Args:
        size: candidates drawn from each image (S).
        positive_fraction: largest share of positives; negatives fill the rest.
    """

    def __init__(self, size, positive_fraction):
        self.size = int(size)
        self.positive_fraction = float(positive_fraction)

    def __call__(self, verdict, seed):
        """Draw candidates at random without replacement.

        Args:
            verdict: int32 `[B, N]` from `Matcher`.
            seed: int `[2]` for a stateless generator.

        Returns:
            index: int32 `[B, S]`, positives first.
            positive: bool `[B, S]`.
            valid: bool `[B, S]`, false where the image has too few candidates to fill a row.
        """
        missing = tf.maximum(self.size - tf.shape(verdict)[1], 0)
        verdict = tf.pad(verdict, [[0, 0], [0, missing]], constant_values=NEITHER)
        # Draw for the whole batch, so that its images get the same numbers on any count of replicas.
        # Name the generator: XLA would choose another one and draw another minibatch.
        images, candidates = tf.unstack(tf.shape(verdict))
        drawn_for = [replicas.rows_of_all(images), candidates]
        lottery = replicas.own_rows(tf.random.stateless_uniform(drawn_for, seed, alg="philox"))

        quota = int(self.size * self.positive_fraction)
        tickets = tf.where(verdict == POSITIVE, lottery, -1.0)
        drawn, positives = tf.math.top_k(tickets, quota)
        tickets = tf.where(verdict == NEGATIVE, lottery, -1.0)
        filled, negatives = tf.math.top_k(tickets, self.size)

        # Each list begins with its valid rows; a stable sort by validity puts negatives after positives.
        index = tf.concat([positives, negatives], axis=1)
        valid = tf.concat([drawn >= 0.0, filled >= 0.0], axis=1)
        order = tf.argsort(tf.cast(~valid, tf.int32), axis=1, stable=True)[:, : self.size]
        index = tf.gather(index, order, axis=1, batch_dims=1)
        valid = tf.gather(valid, order, axis=1, batch_dims=1)
        # Padded columns are not candidates; point them at row 0, which `valid` masks.
        index = tf.where(valid, index, 0)
        positive = valid & (order < quota)
        return index, positive, valid


class AnchorSample(typing.NamedTuple):
    """A minibatch of anchors with the RPN's targets.

    Attributes:
        index: int32 `[B, S]`, rows of the anchors.
        deltas: float32 `[B, S, 4]`, to the matched ground truth; meaningful where positive.
        positive: bool `[B, S]`.
        valid: bool `[B, S]`, false where the image has too few anchors to fill a row.
        match: int32 `[B, S]`, rows of the ground truth; meaningful where positive.
    """

    index: tf.Tensor
    deltas: tf.Tensor
    positive: tf.Tensor
    valid: tf.Tensor
    match: tf.Tensor


class RoISample(typing.NamedTuple):
    """A minibatch of RoIs with the detection head's targets.

    Attributes:
        rois: float32 `[B, S, 4]`, pixels.
        labels: int32 `[B, S]`, 0…K−1 where positive.
        boxes: float32 `[B, S, 4]`, the matched ground truth, pixels; 0 where there is none.
        deltas: float32 `[B, S, 4]`, from `rois` to `boxes`; meaningful where positive.
        positive: bool `[B, S]`, foreground.
        valid: bool `[B, S]`, false where the image has too few RoIs to fill a row.
        match: int32 `[B, S]`, rows of the ground truth; meaningful where positive.
    """

    rois: tf.Tensor
    labels: tf.Tensor
    boxes: tf.Tensor
    deltas: tf.Tensor
    positive: tf.Tensor
    valid: tf.Tensor
    match: tf.Tensor


class AnchorTargets:
    """Sample a minibatch of anchors and make the RPN's targets (Faster R-CNN, sections 3.1.2 and 3.1.3).

    Args:
        coder: `BoxCoder`.
        positive_iou: see `Matcher`; 0.7 in the paper.
        negative_iou: anchors whose best IoU is lower are negative; 0.3 in the paper.
        batch_size: anchors drawn per image (S); 256 in the paper.
        positive_fraction: 0.5 in the paper.
        cross_border: whether to use anchors that cross the border of the image. The paper leaves them out;
            torchvision and detectron2 keep them.
    """

    def __init__(self, coder, positive_iou, negative_iou, batch_size, positive_fraction, cross_border):
        self.coder = coder
        self.match = Matcher(positive_iou, (0.0, negative_iou), keep_best=True)
        self.sample = BalancedSampler(batch_size, positive_fraction)
        self.cross_border = bool(cross_border)

    def __call__(self, anchors, image_shapes, y, seed):
        """Draw anchors and compute their targets.

        Args:
            anchors: float32 `[N, 4]`, pixels.
            image_shapes: `[B, 2]`, height and width of the images, pixels.
            y: dict of "boxes" `[B, M, 4]`, "labels" `[B, M]`, "ignore" `[B, M]`.
            seed: int `[2]`.

        Returns:
            `AnchorSample`.
        """
        verdict, match = self.verdict(anchors, image_shapes, y)
        index, positive, valid = self.sample(verdict, seed)
        match = tf.gather(match, index, axis=1, batch_dims=1)
        boxes = _matched(y["boxes"], match, positive)
        deltas = self.coder.encode(boxes, tf.gather(anchors, index))
        return AnchorSample(index, deltas, positive, valid, match)

    def verdict(self, anchors, image_shapes, y):
        """Judge all anchors, before any is drawn; arguments as above, returns as from `Matcher`."""
        usable = self._usable(anchors, image_shapes)
        return self.match(anchors, y["boxes"], y["labels"], y["ignore"], usable)

    def _usable(self, anchors, image_shapes):
        """Whether each anchor lies within the image; with `cross_border` only its center must."""
        limits = tf.cast(image_shapes, tf.float32)[:, None, ::-1]
        if self.cross_border:
            low = high = 0.5 * (anchors[:, :2] + anchors[:, 2:])
        else:
            low, high = anchors[:, :2], anchors[:, 2:]
        return tf.reduce_all((low >= 0.0) & (high <= limits), axis=-1)


class ProposalTargets:
    """Sample a minibatch of RoIs and make the detection head's targets (Fast R-CNN, section 2.3).

    Args:
        coder: `BoxCoder`.
        positive_iou: proposals with at least this IoU are foreground; 0.5 in the paper.
        negative_iou: `(low, high)` for background; [0.1, 0.5) in Fast R-CNN, [0, 0.5) in
            py-faster-rcnn's end-to-end training.
        batch_size: RoIs drawn per image (S); 64 in Fast R-CNN, 128 in py-faster-rcnn, 512 with FPN.
        positive_fraction: 0.25 in the paper.
    """

    def __init__(self, coder, positive_iou, negative_iou, batch_size, positive_fraction):
        self.coder = coder
        self.match = Matcher(positive_iou, negative_iou)
        self.sample = BalancedSampler(batch_size, positive_fraction)

    def __call__(self, proposals, valid, y, seed):
        """Add the ground truth to the proposals, draw RoIs and compute their targets.

        Args:
            proposals: float32 `[B, N, 4]`, pixels.
            valid: bool `[B, N]`.
            y: dict of "boxes" `[B, M, 4]`, "labels" `[B, M]`, "ignore" `[B, M]`.
            seed: int `[2]`.

        Returns:
            `RoISample`.
        """
        # Early in training no proposal matches an object; ground truth gives the head its first positives.
        proposals = tf.concat([proposals, y["boxes"]], axis=1)
        valid = tf.concat([valid, (y["labels"] >= 0) & ~y["ignore"]], axis=1)
        verdict, match = self.match(proposals, y["boxes"], y["labels"], y["ignore"], valid)
        index, positive, valid = self.sample(verdict, seed)
        rois = tf.gather(proposals, index, axis=1, batch_dims=1)
        match = tf.gather(match, index, axis=1, batch_dims=1)
        boxes = _matched(y["boxes"], match, positive)
        labels = _matched(y["labels"], match, positive)
        return RoISample(rois, labels, boxes, self.coder.encode(boxes, rois), positive, valid, match)


def recall(proposals, valid, y, ious=(0.5,)):
    """Fraction of the ground truth that at least one proposal finds, the mean over some thresholds.

    Args:
        proposals: float32 `[B, N, 4]`, pixels.
        valid: bool `[B, N]`.
        y: dict of "boxes" `[B, M, 4]`, "labels" `[B, M]`, "ignore" `[B, M]`.
        ious: T thresholds; a proposal finds a box at such an IoU or above.

    Returns:
        Two float32 scalars: the fraction, 0 where there is no ground truth, and the number of objects.
    """
    objects = tf.cast((y["labels"] >= 0) & ~y["ignore"], tf.float32)
    best = tf.reduce_max(tf.where(valid[:, None, :], box_ops.iou(y["boxes"], proposals), 0.0), axis=-1)
    reached = tf.reduce_mean(tf.cast(best[..., None] >= ious, tf.float32), axis=-1) * objects
    total = tf.reduce_sum(objects)
    return tf.reduce_sum(reached) / tf.maximum(total, 1.0), total


def _matched(values, match, positive):
    """Values of the matched ground truth, zeros for candidates without a match; works for M = 0."""
    padding = [[0, 0], [0, 1]] + [[0, 0]] * (values.shape.rank - 2)
    last = tf.shape(values)[1]
    return tf.gather(tf.pad(values, padding), tf.where(positive, match, last), axis=1, batch_dims=1)
