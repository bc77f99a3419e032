"""The first stage of Faster R-CNN: proposals, and the loss of the region proposal network.

Letters: B images, A anchors, S sampled anchors, R proposals, M ground-truth boxes.
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
        answer: dict from `RegionProposalNetwork`.
    """

    boxes: tf.Tensor
    scores: tf.Tensor
    is_box: tf.Tensor
    count: tf.Tensor
    answer: dict


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
            arguments["anchor_sizes"],
            backbone.strides,
            arguments["anchor_ratios"],
            arguments["anchor_offset"],
            arguments["anchor_rounding"],
            arguments["anchor_steps"],
        ),
        arguments["rpn_channels"],
        arguments["objectness"],
        arguments["rpn_pre_nms"],
        arguments["rpn_post_nms"],
        arguments["rpn_nms_iou"],
        arguments["rpn_min_size"],
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
    def of(cls, rpn: RegionProposalNetwork, arguments: Mapping) -> "ProposalStage":
        """Create the stage for a network from constructor arguments (`ProposalArguments`)."""
        targets = AnchorTargets(
            rpn.coder,
            arguments["rpn_positive_iou"],
            arguments["rpn_negative_iou"],
            arguments["rpn_batch_size"],
            arguments["rpn_positive_fraction"],
            arguments["rpn_cross_border"],
        )
        return cls(
            rpn,
            targets,
            arguments["rpn_beta"],
            arguments["rpn_box_loss_weight"],
            arguments["rpn_box_normalizer"],
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
        answer = self.rpn(features, image_shapes, training=training)
        boxes, count = answer["proposals"], answer["count"]
        is_box = tf.sequence_mask(count, tf.shape(boxes)[1])
        return Proposals(boxes, answer["scores"], is_box, count, answer)

    def losses(
        self, proposals: Proposals, features: list, image_shapes, y: dict, seed, training: bool
    ) -> dict:
        """Compute the two terms of the loss over a minibatch of anchors.

        Args:
            proposals: `Proposals` of these features.
            features: list of feature maps.
            image_shapes: int32 `[B, 2]`.
            y: dict of "boxes" `[B, M, 4]`, "labels" `[B, M]`, "ignore" `[B, M]`.
            seed: int `[2]`, seed of the sampling.
            training: bool; false reuses the outputs of the network, without gradients.

        Returns:
            dict of "rpn_class_loss" and "rpn_box_loss", float32 scalars.
        """
        answer = proposals.answer
        with tf.name_scope("targets"):
            sample = self.targets(answer["anchors"], image_shapes, y, seed)
        if training:
            with tf.name_scope("rpn"):
                objectness, deltas = self.rpn.at(features, sample.index)
        else:
            answers = (answer["objectness"], answer["deltas"])
            objectness, deltas = (tf.gather(each, sample.index, batch_dims=1) for each in answers)
        with tf.name_scope("losses"):
            class_loss, box_loss = rpn_loss(
                objectness,
                deltas,
                sample.deltas,
                sample.positive,
                sample.valid,
                self.beta,
                self._locations(answer["objectness"]),
            )
        return {"rpn_class_loss": class_loss, "rpn_box_loss": self.box_loss_weight * box_loss}

    def _locations(self, objectness):
        """Return the cells of all maps and images, or None if the sampled anchors divide the box loss."""
        if self.box_normalizer == "sampled":
            return None
        batch, anchors = tf.unstack(tf.shape(objectness))
        return batch * (anchors // self.rpn.anchors.anchors_per_cell)
