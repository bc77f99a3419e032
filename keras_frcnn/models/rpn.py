"""The region proposal network as a model.

Letters: B images, R proposals.
"""

from typing import Unpack

import keras
import tensorflow as tf

from keras_frcnn.evaluation.proposal_recall import AVERAGE_IOUS
from keras_frcnn.models.argument_view import ArgumentView
from keras_frcnn.models.arguments import FreezingArguments, ImageArguments, ProposalArguments
from keras_frcnn.models.constructor import takes
from keras_frcnn.models.proposal_stage import ProposalStage, region_proposal_network
from keras_frcnn.models.proposing_detector import ProposingDetector
from keras_frcnn.sampling import recall


class RPNArguments(ImageArguments, FreezingArguments, ProposalArguments, total=False):
    """Arguments of the RPN."""


@keras.saving.register_keras_serializable("keras_frcnn")
@takes(RPNArguments)
class RPN(ProposingDetector):
    """Region proposal network (Faster R-CNN, section 3.1), trained and used without a detection head.

    Its only class is "object"; the labels of the ground truth are ignored. `propose` returns proposals;
    `call` and `detect` return the same boxes as detections.

    Args:
        backbone, backbone_weights: see `FasterRCNN`.
        **arguments: the groups in `models/arguments.py`.

    Call arguments, returns: see `Detector.call`; the output has as many rows as proposals.

    Example:
        >>> model = RPN(backbone="tiny_fpn", image_size=(128, 128))
        >>> sorted(model.propose(np.zeros([96, 128, 3], np.uint8), top=10))
        ['boxes', 'scores']
    """

    # Recall at one IoU is soon close to 1; that over all of them goes with the scores of a detector (Hosang
    # et al. 2016, section 5).
    score_name = "val_average_recall"
    only_proposals = True
    head_names = ()
    max_detections = ArgumentView("rpn_post_nms", lambda post_nms: post_nms[1])

    def __init__(self, backbone="tiny_fpn", backbone_weights="none", **arguments: Unpack[RPNArguments]):
        names = ("rpn_class_loss", "rpn_box_loss", "proposal_recall", "average_recall")
        super().__init__(["object"], backbone, backbone_weights, arguments, names)
        with self.dtype_scope():
            self.rpn = region_proposal_network(self.backbone_info, self.arguments)
        self.finish_assembly()

    def connect_stages(self):
        self.proposals = ProposalStage.from_arguments(self.rpn, self.arguments)

    def infer(self, x, training=False):
        features = self.features(x["images"], x["image_shapes"], training)
        proposed = self.proposals(features, x["image_shapes"])
        filled = proposed.is_box
        return {
            "boxes": tf.where(filled[:, :, None], proposed.boxes, -1.0),
            "scores": tf.where(filled, proposed.scores, -1.0),
            "labels": tf.where(filled, 0, -1),
            "num_detections": proposed.count,
        }

    def training_losses(self, x, y, training):
        features = self.features(x["images"], x["image_shapes"], training)
        proposed = self.proposals(features, x["image_shapes"], training=True)
        seed = self.sampling_seed(training)
        losses = self.proposals.losses(proposed, features, x["image_shapes"], y, seed, training)
        found = proposed.boxes, proposed.is_box, y
        return losses, {"proposal_recall": recall(*found), "average_recall": recall(*found, AVERAGE_IOUS)}

    def get_config(self):
        config = super().get_config()
        del config["class_names"]  # not an argument
        return config
