"""The first stage: what Faster R-CNN and the RPN alone share.

Letters: B images, A anchors, S sampled, R proposals.
"""

import functools

import tensorflow as tf

from keras_frcnn import boxes as box_ops
from keras_frcnn import images as image_ops
from keras_frcnn.layers import AnchorGenerator, RegionProposalNetwork
from keras_frcnn.losses import rpn_loss
from keras_frcnn.sampling import AnchorTargets

# Where the two lines of recipes part: one feature map (py-faster-rcnn) or a pyramid (torchvision).
SINGLE_LEVEL = {
    "objectness": "softmax",
    "rpn_channels": 512,
    "rpn_pre_nms": (12000, 6000),
    "rpn_post_nms": (2000, 300),
    "rpn_min_size": 16.0,
    "rpn_min_size_first": True,
    "rpn_cross_border": False,
}
PYRAMID = {
    "objectness": "sigmoid",
    "rpn_channels": 256,
    "rpn_pre_nms": (2000, 1000),
    "rpn_post_nms": (2000, 1000),
    "rpn_min_size": 1e-3,
    "rpn_min_size_first": False,
    "rpn_cross_border": True,
}

BOX_NORMALIZERS = ("sampled", "locations")

EITHER = {
    "anchor_offset": 0.5,
    "anchor_rounding": "none",
    "anchor_steps": "stride",
    "rpn_depth": 1,
    "rpn_score_threshold": 0.0,
}


def defaults(pyramid):
    """What the constructor leaves open of this stage, by the kind of features."""
    return {**EITHER, **(PYRAMID if pyramid else SINGLE_LEVEL)}


class RegionProposals:
    """Mixin of a `Detector` whose proposals come from a region proposal network of its own."""

    earlier = {"rpn_min_size_first": False}

    def assemble_rpn(self, parts, recipe):
        """Make the network and its targets; arguments as of `Detector.assemble_backbone`."""
        if recipe.rpn_box_normalizer not in BOX_NORMALIZERS:
            raise ValueError(
                f"Unknown rpn_box_normalizer {recipe.rpn_box_normalizer!r}; use "
                f"{' or '.join(map(repr, BOX_NORMALIZERS))}."
            )
        self.rpn = RegionProposalNetwork(
            AnchorGenerator(
                recipe.anchor_sizes,
                parts.strides,
                recipe.anchor_ratios,
                recipe.anchor_offset,
                recipe.anchor_rounding,
                recipe.anchor_steps,
            ),
            recipe.rpn_channels,
            recipe.objectness,
            recipe.rpn_pre_nms,
            recipe.rpn_post_nms,
            recipe.rpn_nms_iou,
            recipe.rpn_min_size,
            depth=recipe.rpn_depth,
            score_threshold=recipe.rpn_score_threshold,
            min_size_first=recipe.rpn_min_size_first,
            name="rpn",
        )
        self.rpn.build([(None, None, None, level.shape[-1]) for level in parts.network.outputs])
        self.anchor_targets = AnchorTargets(
            self.rpn.coder,
            recipe.rpn_positive_iou,
            recipe.rpn_negative_iou,
            recipe.rpn_batch_size,
            recipe.rpn_positive_fraction,
            recipe.rpn_cross_border,
        )
        self._propose_functions = {
            phase: tf.function(
                functools.partial(self.propose_batch, training=phase),
                input_signature=[tf.TensorSpec([None, None, None, 3], tf.float32)],
                autograph=False,
                jit_compile=False,
            )
            for phase in (False, True)
        }

    def rpn_losses(self, rpn, features, image_shapes, y, training):
        """The two terms of the loss over a minibatch of anchors.

        Args:
            rpn: what the network answered.
            features: list of the maps that it saw.
            image_shapes: int32 `[B, 2]`.
            y: dict as in `training_losses`.
            training: bool; false draws the same minibatch every time.

        Returns:
            dict of "rpn_class_loss" and "rpn_box_loss", float32 scalars.
        """
        with tf.name_scope("targets"):
            index, targets, positive, valid = self.anchor_targets(
                rpn["anchors"], image_shapes, y, self.sampling_seed(training)
            )
        if training:
            with tf.name_scope("rpn"):
                objectness, deltas = self.rpn.at(features, index)
        else:
            answers = (rpn["objectness"], rpn["deltas"])
            objectness, deltas = (tf.gather(answer, index, batch_dims=1) for answer in answers)
        with tf.name_scope("losses"):
            locations = None
            if self.recipe["rpn_box_normalizer"] == "locations":
                batch, anchors = tf.unstack(tf.shape(rpn["objectness"]))
                locations = batch * (anchors // self.rpn.anchors.anchors_per_cell)
            class_loss, box_loss = rpn_loss(
                objectness, deltas, targets, positive, valid, self.recipe["rpn_beta"], locations
            )
        box_loss = self.recipe["rpn_box_loss_weight"] * box_loss
        return {"rpn_class_loss": class_loss, "rpn_box_loss": box_loss}

    def propose_batch(self, images, training=False):
        """Proposals in pixels of images of one shape; runs in a graph.

        Args:
            images: as of `Detector.detect_batch`.
            training: bool, as many as in training.

        Returns:
            dict of "boxes" float32 `[B, R, 4]`, best first, "scores" `[B, R]` and "count" int32 `[B]`.
        """
        x, originals = self.prepare_batch(images)
        features = self.features(x["images"], x["image_shapes"], False)
        rpn = self.rpn(features, x["image_shapes"], training=training)
        boxes = box_ops.rescale(rpn["proposals"], x["image_shapes"], originals)
        return {"boxes": boxes, "scores": rpn["scores"], "count": rpn["count"]}

    def propose(self, image, top=None, training=False):
        """Where objects may be, whatever they are.

        Args:
            image: path, or array `[H, W, 3]` RGB 0–255.
            top: at most so many; by default all that the network gives.
            training: whether it gives as many as in training, or as at test.

        Returns:
            dict of arrays "boxes" float32 `[R, 4]`, pixels of the image as given, and "scores" float32 `[R]`
            (0–1, best first).
        """
        image = tf.constant(image_ops.as_image(image)[None], tf.float32)
        answer = self._propose_functions[training](image)
        count = int(answer["count"][0])
        count = count if top is None else min(count, top)
        return {name: answer[name][0, :count].numpy() for name in ("boxes", "scores")}
