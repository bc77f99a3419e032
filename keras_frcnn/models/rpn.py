"""The region proposal network as a model of its own.

Letters: B images, R proposals.
"""

import keras
import tensorflow as tf

from keras_frcnn import backbones
from keras_frcnn.models import region_proposals
from keras_frcnn.models.argument import Argument
from keras_frcnn.models.detector import Detector
from keras_frcnn.models.region_proposals import RegionProposals
from keras_frcnn.sampling import recall


@keras.saving.register_keras_serializable("keras_frcnn")
class RPN(RegionProposals, Detector):
    """Region proposal network (Faster R-CNN, section 3.1), trained and used without a detection head.

    Its one class is "object": whatever the labels of the ground truth, they count as that. `propose` gives
    proposals; `call` and `detect` give the same as detections.

    Args:
        backbone, backbone_weights, image_size, resize_rounding, canvas, preprocessing, frozen_stages,
        frozen_batch_norm, batch_norm_epsilon, anchor_sizes, anchor_ratios, anchor_offset, anchor_rounding,
        anchor_steps, objectness, rpn_channels, rpn_depth, rpn_pre_nms, rpn_post_nms, rpn_nms_iou,
        rpn_min_size, rpn_min_size_first, rpn_score_threshold, rpn_positive_iou, rpn_negative_iou,
        rpn_batch_size, rpn_positive_fraction, rpn_cross_border, rpn_beta, rpn_box_loss_weight,
        rpn_box_normalizer: see `FasterRCNN`.

    Call arguments, returns: see `Detector.call`; as many rows as proposals.

    Example:
        >>> model = RPN(backbone="tiny_fpn", image_size=(128, 128))
        >>> sorted(model.propose(np.zeros([96, 128, 3], np.uint8), top=10))
        ['boxes', 'scores']
    """

    score_name = "val_proposal_recall"
    only_proposals = True
    max_detections = Argument("rpn_post_nms", lambda post_nms: post_nms[1])

    def __init__(
        self,
        backbone="tiny_fpn",
        backbone_weights="none",
        *,
        image_size=None,
        resize_rounding=None,
        canvas=False,
        preprocessing=None,
        frozen_stages=None,
        frozen_batch_norm=None,
        batch_norm_epsilon=None,
        anchor_sizes=None,
        anchor_ratios=(0.5, 1.0, 2.0),
        anchor_offset=None,
        anchor_rounding=None,
        anchor_steps=None,
        objectness=None,
        rpn_channels=None,
        rpn_depth=None,
        rpn_pre_nms=None,
        rpn_post_nms=None,
        rpn_nms_iou=0.7,
        rpn_min_size=None,
        rpn_min_size_first=None,
        rpn_score_threshold=None,
        rpn_positive_iou=0.7,
        rpn_negative_iou=0.3,
        rpn_batch_size=256,
        rpn_positive_fraction=0.5,
        rpn_cross_border=None,
        rpn_beta=1.0 / 9.0,
        rpn_box_loss_weight=1.0,
        rpn_box_normalizer="sampled",
        weights_source=None,
        **kwargs,
    ):
        # The arguments as they came, in place of twenty assignments; nothing is defined before this line.
        arguments = {
            name: value for name, value in locals().items() if name not in ("self", "kwargs", "__class__")
        }
        super().__init__(
            ["object"],
            loss_names=("rpn_class_loss", "rpn_box_loss", "proposal_recall"),
            **kwargs,
        )
        with backbones.dtype_policy(self.dtype_policy):
            parts = self.open_backbone(arguments)
            recipe = self.resolve(arguments, parts, region_proposals.defaults(parts.pyramid))
            self.assemble_backbone(parts, recipe)
            self.assemble_rpn(parts, recipe)
        self.finish_assembly()

    def infer(self, x, training=False):
        features = self.features(x["images"], x["image_shapes"], training)
        rpn = self.rpn(features, x["image_shapes"])
        filled = tf.sequence_mask(rpn["count"], self.max_detections)
        return {
            "boxes": tf.where(filled[:, :, None], rpn["proposals"], -1.0),
            "scores": tf.where(filled, rpn["scores"], -1.0),
            "labels": tf.where(filled, 0, -1),
            "num_detections": rpn["count"],
        }

    def training_losses(self, x, y, training):
        x = self.unpack(x)
        features = self.features(x["images"], x["image_shapes"], training)
        rpn = self.rpn(features, x["image_shapes"], training=True)
        proposed = tf.sequence_mask(rpn["count"], tf.shape(rpn["proposals"])[1])
        losses = self.rpn_losses(rpn, features, x["image_shapes"], y, training)
        return losses, {"proposal_recall": recall(rpn["proposals"], proposed, y)}

    def get_config(self):
        config = super().get_config()
        del config["class_names"]  # no argument
        return config
