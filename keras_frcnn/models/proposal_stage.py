"""The first stage of Faster R-CNN: proposals, and the loss of the region proposal network.

Letters: B images, R proposals, M ground-truth boxes.
"""

import typing
from collections.abc import Mapping

import tensorflow as tf

from keras_frcnn.backbones import Backbone
from keras_frcnn.layers import AnchorGenerator, RegionProposalNetwork
from keras_frcnn.losses import rpn_loss
from keras_frcnn.sampling import AnchorTargets

BOX_NORMALIZERS = ("sampled", "locations")


class Proposals(typing.NamedTuple):
    """Output of the first stage.

    Attributes:
        boxes: float32 `[B, R, 4]`, pixels, best first; no gradient reaches them.
        scores: float32 `[B, R]`, 0–1.
        is_box: bool `[B, R]`, false where a row is padding.
        count: int32 `[B]`.
        outputs: dict from `RegionProposalNetwork`.
    """

    boxes: tf.Tensor
    scores: tf.Tensor
    is_box: tf.Tensor
    count: tf.Tensor
    outputs: dict


def region_proposal_network(backbone: Backbone, arguments: Mapping) -> RegionProposalNetwork:
    """Create and build the region proposal network for the feature maps of a backbone.

    Args:
        backbone: `Backbone`.
        arguments: mapping with the entries of `ProposalArguments`.

    Returns:
        `RegionProposalNetwork`.
    """
    rpn = RegionProposalNetwork(
        AnchorGenerator(
            sizes=arguments["anchor_sizes"],
            strides=backbone.strides,
            ratios=arguments["anchor_ratios"],
            offset=arguments["anchor_offset"],
            rounding=arguments["anchor_rounding"],
            steps=arguments["anchor_steps"],
        ),
        channels=arguments["rpn_channels"],
        objectness=arguments["objectness"],
        pre_nms=arguments["rpn_pre_nms"],
        post_nms=arguments["rpn_post_nms"],
        nms_iou=arguments["rpn_nms_iou"],
        min_size=arguments["rpn_min_size"],
        depth=arguments["rpn_depth"],
        score_threshold=arguments["rpn_score_threshold"],
        min_size_first=arguments["rpn_min_size_first"],
        name="rpn",
    )
    rpn.build([(None, None, None, level.shape[-1]) for level in backbone.network.outputs])
    return rpn


class ProposalStage:
    """Proposals from anchors, objectness and deltas, and the loss over a minibatch of anchors (Faster R-CNN,
    section 3.1).

    Args:
        rpn: `RegionProposalNetwork`.
        targets: `AnchorTargets`.
        beta: β of the smooth L1.
        box_loss_weight: λ.
        box_normalizer: divisor of the box loss, "sampled" or "locations".

    Raises:
        ValueError: the normalizer is unknown.
    """

    def __init__(
        self,
        rpn: RegionProposalNetwork,
        targets: AnchorTargets,
        beta: float,
        box_loss_weight: float,
        box_normalizer: str,
    ):
        if box_normalizer not in BOX_NORMALIZERS:
            raise ValueError(
                f"Unknown rpn_box_normalizer {box_normalizer!r}; use "
                f"{' or '.join(map(repr, BOX_NORMALIZERS))}."
            )
        self.rpn = rpn
        self.targets = targets
        self.beta = beta
        self.box_loss_weight = box_loss_weight
        self.box_normalizer = box_normalizer

    @classmethod
    def from_arguments(cls, rpn: RegionProposalNetwork, arguments: Mapping) -> "ProposalStage":
        """Create the stage for a network from constructor arguments (`ProposalArguments`)."""
        targets = AnchorTargets(
            rpn.coder,
            positive_iou=arguments["rpn_positive_iou"],
            negative_iou=arguments["rpn_negative_iou"],
            batch_size=arguments["rpn_batch_size"],
            positive_fraction=arguments["rpn_positive_fraction"],
            cross_border=arguments["rpn_cross_border"],
        )
        return cls(
            rpn,
            targets,
            beta=arguments["rpn_beta"],
            box_loss_weight=arguments["rpn_box_loss_weight"],
            box_normalizer=arguments["rpn_box_normalizer"],
        )

    def __repr__(self):
        (training, test), match = self.rpn.post_nms, self.targets.match
        return (
            f"<ProposalStage: {training} proposals in training, {test} at test; learns from "
            f"{self.targets.sample.size} anchors, positive from IoU {match.positive_iou:g}, negative below "
            f"{match.negative_iou[1]:g}>"
        )

    def __call__(self, features: list, image_shapes, training: bool = False) -> Proposals:
        """Propose boxes.

        Args:
            features: list of feature maps.
            image_shapes: int32 `[B, 2]`, height and width that boxes are clipped to, pixels.
            training: bool, whether to return as many proposals as in training.

        Returns:
            `Proposals`.
        """
        outputs = self.rpn(features, image_shapes, training=training)
        boxes, count = outputs["proposals"], outputs["count"]
        is_box = tf.sequence_mask(count, tf.shape(boxes)[1])
        return Proposals(boxes, outputs["scores"], is_box, count, outputs)

    def losses(
        self, proposed: Proposals, features: list, image_shapes, y: dict, seed, training: bool
    ) -> dict:
        """Compute the two terms of the loss over a minibatch of anchors.

        Args:
            proposed: `Proposals` of these features.
            features: list of feature maps.
            image_shapes: int32 `[B, 2]`.
            y: dict of "boxes" `[B, M, 4]`, "labels" `[B, M]`, "ignore" `[B, M]`.
            seed: int `[2]`, seed of the sampling.
            training: bool; true predicts the sampled anchors again, with the cheaper gradient of `rpn.at`;
                false takes their predictions from `proposed`.

        Returns:
            dict of "rpn_class_loss" and "rpn_box_loss", float32 scalars.
        """
        outputs = proposed.outputs
        with tf.name_scope("targets"):
            sample = self.targets(outputs["anchors"], image_shapes, y, seed)
        if training:
            with tf.name_scope("rpn"):
                objectness, deltas = self.rpn.at(features, sample.index)
        else:
            predictions = (outputs["objectness"], outputs["deltas"])
            objectness, deltas = (tf.gather(each, sample.index, batch_dims=1) for each in predictions)
        with tf.name_scope("losses"):
            class_loss, box_loss = rpn_loss(
                objectness,
                deltas,
                sample.deltas,
                sample.positive,
                sample.valid,
                self.beta,
                self._locations(outputs["objectness"]),
            )
        return {"rpn_class_loss": class_loss, "rpn_box_loss": self.box_loss_weight * box_loss}

    def _locations(self, objectness):
        """Return the number of cells of all maps and images; None if sampled anchors divide the box loss."""
        if self.box_normalizer == "sampled":
            return None
        batch, anchors = tf.unstack(tf.shape(objectness))
        return batch * (anchors // self.rpn.anchors.anchors_per_cell)
