"""The second stage: pool RoIs from the features, classify them and refine their boxes.

Letters: B images, R proposals, S sampled RoIs, P bins per side, C channels, K classes, M ground-truth boxes.
"""

import functools
from collections.abc import Callable, Mapping

import tensorflow as tf

from keras_frcnn.backbones import Backbone
from keras_frcnn.boxes import BoxCoder
from keras_frcnn.layers import DetectionHead, ExactRoIPooling, RoIAlign, RoIPooling
from keras_frcnn.losses import BOX_LOSSES, CLASS_LOSSES, SmoothL1, detection_loss
from keras_frcnn.names import remedy
from keras_frcnn.ops.nms import postprocess
from keras_frcnn.sampling import ProposalTargets, RoISample

POOLINGS = {"roi_pooling": RoIPooling, "roi_align": RoIAlign, "exact": ExactRoIPooling}


def roi_pooling(backbone: Backbone, arguments: Mapping):
    """Create and build the layer that pools RoIs from the maps of a backbone.

    Args:
        backbone: `Backbone`.
        arguments: mapping with the entries of `PoolingArguments`.

    Returns:
        An instance of one of `POOLINGS`.

    Raises:
        ValueError: the pooling is unknown.
    """
    name = arguments["pooling"]
    if name not in POOLINGS:
        listed = remedy(name, POOLINGS, f"use one of {', '.join(POOLINGS)}.")
        raise ValueError(f"Unknown pooling {name!r}; {listed}")
    details = {"samples": arguments["pool_samples"], "aligned": arguments["pool_aligned"]}
    if name == "exact":
        details = {"corners": arguments["pool_corners"]}
    strides = backbone.strides[: backbone.pooled_levels]
    layer = POOLINGS[name](arguments["pool_size"], strides, **details, name="roi_pooling")
    layer.build((None, None, None, backbone.channels), (None, None, 4))
    return layer


def detection_head(
    backbone: Backbone, arguments: Mapping, class_count: int, roi_shape: tuple, name: str = "head", **further
) -> DetectionHead:
    """Create and build the head over pooled RoIs; load its pretrained fully connected layers, if any.

    Args:
        backbone: `Backbone`.
        arguments: mapping with the entries of `HeadArguments`, and "batch_norm_epsilon" and
            "frozen_batch_norm".
        class_count: K.
        roi_shape: shape of one pooled RoI.
        name: name of the layer.
        **further: arguments of `DetectionHead`.

    Returns:
        `DetectionHead`.
    """
    if arguments["batch_norm_epsilon"] is not None:
        further["epsilon"] = arguments["batch_norm_epsilon"]
    head = DetectionHead(
        class_count,
        arguments["head_units"],
        arguments["head_dropout"],
        backbone.head,
        ranks=arguments["head_ranks"],
        **further,
        name=name,
    )
    head.build((None, None, *roi_shape))
    for norm in head.norms:
        norm.trainable = not arguments["frozen_batch_norm"]
    # Read the weights only if they may fit, because they are large.
    fits = tuple(arguments["head_units"]) == backbone.defaults.get("head_units")
    if fits and not arguments["head_ranks"]:
        head.load_dense(backbone.fc, backbone.source)
    return head


def loss_named(loss, table, argument, **details):
    """Get a loss from its name, or return it as it is.

    Args:
        loss: name in `table`, or a loss object.
        table: `CLASS_LOSSES` or `BOX_LOSSES`.
        argument: name of the argument in messages.
        **details: arguments for a loss that is given by name and accepts them.

    Raises:
        ValueError: the name is unknown, or the object could not be saved with the model.
    """
    if isinstance(loss, str) and loss in table:
        return table[loss](**(details if table[loss] is SmoothL1 else {}))
    if isinstance(loss, (str, type)) or not (callable(loss) and hasattr(loss, "get_config")):
        example = next(iter(table.values())).__name__
        listed = f"use one of {', '.join(table)}, or an object such as losses.{example}()."
        raise ValueError(f"{argument} is {loss!r}; {remedy(str(loss), table, listed)}")
    return loss


class RegionStage:
    """Pooling, head, loss over a minibatch of RoIs, and detections (Fast R-CNN, sections 2 and 3).

    Args:
        pool: function from the feature maps, RoIs `[B, R, 4]` and `training` to the input of the head.
        head: `DetectionHead`.
        targets: `ProposalTargets`.
        class_loss: loss object, such as `losses.CrossEntropy`.
        box_loss: loss object, such as `losses.SmoothL1`; None if boxes are learned elsewhere.
        box_loss_weight: λ.
        postprocess: function from probabilities, boxes, a mask of valid rows, and shapes of the images to
            detections.
        to_scores: function from class logits to scores `[B, R, K + 1]`, background first.
    """

    def __init__(
        self,
        pool: Callable,
        head: DetectionHead,
        targets: ProposalTargets,
        class_loss: Callable,
        box_loss: Callable | None,
        box_loss_weight: float,
        postprocess: Callable,
        to_scores: Callable = tf.nn.softmax,
    ):
        self.pool = pool
        self.head = head
        self.targets = targets
        self.class_loss = class_loss
        self.box_loss = box_loss
        self.box_loss_weight = box_loss_weight
        self.postprocess = postprocess
        self.to_scores = to_scores

    @classmethod
    def from_arguments(
        cls, pool, head, arguments, coder_weights=(1.0, 1.0, 1.0, 1.0), learns_boxes=True, **further
    ):
        """Create the stage for a head from constructor arguments.

        Args:
            pool, head: see the class.
            arguments: mapping with the entries of `HeadArguments`, `ForegroundArguments` and
                `AnswerArguments`, and of `BoxHeadArguments` if the head learns boxes.
            coder_weights: weights of the `BoxCoder`.
            learns_boxes: whether `fit` learns boxes.
            **further: further arguments of the class.
        """
        targets = ProposalTargets(
            BoxCoder(coder_weights),
            positive_iou=arguments["head_positive_iou"],
            negative_iou=arguments["head_negative_iou"],
            batch_size=arguments["head_batch_size"],
            positive_fraction=arguments["head_positive_fraction"],
        )
        box_loss, box_loss_weight = None, 0.0
        if learns_boxes:
            box_loss = loss_named(arguments["box_loss"], BOX_LOSSES, "box_loss", beta=arguments["head_beta"])
            box_loss_weight = arguments["box_loss_weight"]
        return cls(
            pool,
            head,
            targets,
            class_loss=loss_named(arguments["class_loss"], CLASS_LOSSES, "class_loss"),
            box_loss=box_loss,
            box_loss_weight=box_loss_weight,
            postprocess=functools.partial(
                postprocess,
                score_threshold=arguments["score_threshold"],
                iou_threshold=arguments["nms_iou"],
                max_detections=arguments["max_detections"],
                min_box_size=arguments["min_box_size"],
            ),
            **further,
        )

    def __repr__(self):
        match, size = self.targets.match, self.targets.sample.size
        low, high = match.negative_iou
        losses = " and ".join(type(loss).__name__ for loss in (self.class_loss, self.box_loss) if loss)
        return (
            f"<RegionStage: {self.head.name} learns by {losses} from {size} RoIs, foreground from IoU "
            f"{match.positive_iou:g}, background {low:g}–{high:g}>"
        )

    @property
    def coder(self) -> BoxCoder:
        """`BoxCoder` between RoIs and boxes."""
        return self.targets.coder

    def losses(self, features: list, proposals, is_box, y: dict, seed, training: bool) -> dict:
        """Compute the terms of the multi-task loss over a minibatch of RoIs.

        Args:
            features: list of feature maps.
            proposals: float32 `[B, R, 4]`, pixels; no gradient reaches them.
            is_box: bool `[B, R]`, false where a row is padding.
            y: dict of "boxes" `[B, M, 4]`, "labels" `[B, M]`, "ignore" `[B, M]`.
            seed: int `[2]`, seed of the sampling.
            training: bool; false disables dropout.

        Returns:
            dict of "class_loss" and, if `fit` learns boxes, "box_loss", float32 scalars.
        """
        sample = self.sample(proposals, is_box, y, seed)
        return self.losses_of(sample, *self.head_outputs(features, sample.rois, training))

    def sample(self, proposals, is_box, y: dict, seed) -> RoISample:
        """Sample a minibatch of RoIs, a `RoISample`; for the arguments see `losses`."""
        with tf.name_scope("targets"):
            return self.targets(proposals, is_box, y, seed)

    def head_outputs(self, features: list, rois, training: bool = False) -> tuple:
        """Predict class logits `[B, R, K + 1]` and deltas `[B, R, K or 1, 4]` for RoIs `[B, R, 4]`."""
        return self.head(self.pool(features, rois, training), training=training)

    def losses_of(self, sample: RoISample, class_logits, deltas) -> dict:
        """Compute the loss terms from the head's outputs for a `RoISample`; returns the same as `losses`."""
        with tf.name_scope("losses"):
            class_loss, box_loss = detection_loss(
                class_logits, deltas, sample, self.coder, self.class_loss, self.box_loss, self.head.deviation
            )
        if box_loss is None:
            return {"class_loss": class_loss}
        return {"class_loss": class_loss, "box_loss": self.box_loss_weight * box_loss}

    def detect(self, features: list, proposals, is_box, image_shapes, training: bool = False) -> dict:
        """Detect objects among proposals.

        Args:
            features, proposals, is_box: see `losses`.
            image_shapes: int32 `[B, 2]`, height and width that boxes are clipped to, pixels.
            training: bool, passed to the layers.

        Returns:
            dict as from `Detector.infer`.
        """
        pooled = self.pool(features, proposals, training)
        return self.detect_pooled(pooled, proposals, is_box, image_shapes, training)

    def detect_pooled(self, pooled, proposals, is_box, image_shapes, training: bool = False) -> dict:
        """Detect objects in pooled RoIs `[B, R, P, P, C]`; for the rest see `detect`."""
        class_logits, deltas = self.head(pooled, training=training)
        with tf.name_scope("post_processing"):
            boxes = self.coder.decode(deltas, proposals[:, :, None])
            return self.postprocess(self.to_scores(class_logits), boxes, is_box, image_shapes)
