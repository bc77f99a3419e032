"""The second stage: what Fast and Faster R-CNN share.

Letters: B images, R proposals, S sampled RoIs, P bins a side, C channels, K classes.
"""

import tensorflow as tf

from keras_frcnn import boxes as box_ops
from keras_frcnn.layers import DetectionHead, ExactRoIPooling, RoIAlign, RoIPooling
from keras_frcnn.losses import detection_loss
from keras_frcnn.ops.nms import postprocess
from keras_frcnn.sampling import ProposalTargets

POOLINGS = {"roi_pooling": RoIPooling, "roi_align": RoIAlign, "exact": ExactRoIPooling}

# Where the two lines of recipes part: one feature map (py-faster-rcnn) or a pyramid (torchvision).
SINGLE_LEVEL = {"pooling": "roi_pooling", "head_batch_size": 128, "head_beta": 1.0, "nms_iou": 0.3}
PYRAMID = {"pooling": "roi_align", "head_batch_size": 512, "head_beta": 1.0 / 9.0, "nms_iou": 0.5}
EITHER = {
    "pool_size": 7,
    "pool_aligned": True,
    "head_convs": (),
    "head_units": (1024, 1024),
    "head_dropout": 0.0,
    "head_background_box": False,
    "min_box_size": 0.0,
}


def defaults(pyramid):
    """What the constructor leaves open of this stage, by the kind of features."""
    return {**EITHER, **(PYRAMID if pyramid else SINGLE_LEVEL)}


class RegionClassification:
    """Mixin of a `Detector` that pools RoIs from the features and tells what is in them, and where."""

    def assemble_head(self, parts, recipe, coder_weights=(1.0, 1.0, 1.0, 1.0), **arguments):
        """Make the RoI pooling, the head and its targets.

        Args:
            parts, recipe: as of `Detector.assemble_backbone`.
            coder_weights: of the `BoxCoder`.
            arguments: further ones of `DetectionHead`.
        """
        self.roi_pooling = self.make_pooling(parts.strides[: parts.pooled_levels], recipe)
        self.roi_pooling.build((None, None, None, self.pooled_channels(parts)), (None, None, 4))
        if self.recipe.get("batch_norm_epsilon") is not None:
            arguments["epsilon"] = self.recipe["batch_norm_epsilon"]
        self.head = DetectionHead(
            len(self.class_names),
            recipe.head_units,
            recipe.head_dropout,
            parts.head,
            recipe.class_agnostic,
            recipe.head_ranks,
            **arguments,
            name="head",
        )
        self.head.build(self.pooled_shape(parts, recipe))
        for norm in self.head.norms:
            norm.trainable = not recipe.frozen_batch_norm
        # Asked for only where they may fit, for they are large.
        if tuple(recipe.head_units) == parts.defaults.get("head_units") and not recipe.head_ranks:
            self.head.load_dense(parts.fc, parts.source)
        self.box_coder = box_ops.BoxCoder(coder_weights)
        self.proposal_targets = ProposalTargets(
            self.box_coder,
            recipe.head_positive_iou,
            recipe.head_negative_iou,
            recipe.head_batch_size,
            recipe.head_positive_fraction,
        )

    def make_pooling(self, strides, recipe):
        """The layer that pools RoIs, for features of these strides."""
        if recipe.pooling not in POOLINGS:
            raise ValueError(f"Unknown pooling {recipe.pooling!r}; use one of {', '.join(POOLINGS)}.")
        arguments = {"samples": recipe.pool_samples, "aligned": recipe.pool_aligned}
        if recipe.pooling == "exact":
            arguments = {"corners": recipe.pool_corners}
        return POOLINGS[recipe.pooling](recipe.pool_size, strides, **arguments, name="roi_pooling")

    def pooled_channels(self, parts):
        """Channels of the maps that RoIs are pooled from."""
        return parts.network.outputs[0].shape[-1]

    def pooled_shape(self, parts, recipe):
        """Shape of what `pool` gives."""
        features = (None, None, None, self.pooled_channels(parts))
        return self.roi_pooling.compute_output_shape(features, (None, None, 4))

    def pool(self, features, rois, training=False):
        """What the head sees of RoIs.

        Args:
            features: list of feature maps.
            rois: float32 `[B, R, 4]`, pixels.
            training: bool, of the layers inside.

        Returns:
            `[B, R, P, P, C]`.
        """
        return self.roi_pooling(features[: self.pooled_levels], rois)

    def head_losses(self, features, proposals, proposed, y, training):
        """The two terms of the multi-task loss over a minibatch of RoIs.

        Args:
            features: list of feature maps.
            proposals: float32 `[B, R, 4]`, pixels; no gradient reaches them.
            proposed: bool `[B, R]`, false where a row is padding.
            y: dict as in `training_losses`.
            training: bool; false leaves out dropout and draws the same minibatch every time.

        Returns:
            dict of "class_loss" and "box_loss", float32 scalars.
        """
        with tf.name_scope("targets"):
            rois, *targets = self.proposal_targets(proposals, proposed, y, self.sampling_seed(training))
        class_logits, deltas = self.head(self.pool(features, rois, training), training=training)
        with tf.name_scope("losses"):
            class_loss, box_loss = detection_loss(
                class_logits, deltas, *targets, self.recipe["head_beta"], self.head.deviation
            )
        return {"class_loss": class_loss, "box_loss": self.recipe["box_loss_weight"] * box_loss}

    def classify(self, pooled, proposals, proposed, image_shapes, training=False):
        """Detections out of pooled RoIs.

        Args:
            pooled: `[B, R, P, P, C]`.
            proposals: float32 `[B, R, 4]`, pixels.
            proposed: bool `[B, R]`, false where a row is padding.
            image_shapes: int32 `[B, 2]`, height and width that boxes are clipped to, pixels.
            training: bool, of the layers inside.

        Returns:
            dict as from `infer`.
        """
        class_logits, deltas = self.head(pooled, training=training)
        with tf.name_scope("post_processing"):
            return postprocess(
                self.probabilities(class_logits),
                self.box_coder.decode(deltas, proposals[:, :, None]),
                proposed,
                image_shapes,
                self.recipe["score_threshold"],
                self.recipe["nms_iou"],
                self.recipe["max_detections"],
                self.recipe.get("min_box_size", 0.0),  # SPPnet and R-CNN have none
            )

    def probabilities(self, class_logits):
        """Scores 0–1 `[B, R, K + 1]` of logits, background first."""
        return tf.nn.softmax(class_logits)
