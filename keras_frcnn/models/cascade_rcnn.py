"""Cascade R-CNN.

Letters: K classes.
"""

import dataclasses
from typing import Annotated, Unpack

import keras
import tensorflow as tf

from keras_frcnn import boxes as box_ops
from keras_frcnn.backbones import copied_network
from keras_frcnn.models.arguments import (
    AnswerArguments,
    BoxHeadArguments,
    FreezingArguments,
    ImageArguments,
    PoolingArguments,
    ProposalArguments,
)
from keras_frcnn.models.constructor import takes
from keras_frcnn.models.proposal_stage import ProposalStage, region_proposal_network
from keras_frcnn.models.proposing_detector import ProposingDetector
from keras_frcnn.models.region_stage import RegionStage, detection_head, roi_pooling
from keras_frcnn.sampling import recall


class CascadeRCNNArguments(
    ImageArguments,
    FreezingArguments,
    ProposalArguments,
    PoolingArguments,
    BoxHeadArguments,
    AnswerArguments,
    total=False,
):
    """Arguments of Cascade R-CNN."""

    cascade_ious: Annotated[
        tuple[float, ...],
        (0.5, 0.6, 0.7),
        "for each stage, the minimum IoU of a foreground RoI with an object, 0 to 1; section 4.",
    ]
    cascade_coder_weights: Annotated[
        tuple[tuple[float, float, float, float], ...],
        ((10.0, 10.0, 5.0, 5.0), (20.0, 20.0, 10.0, 10.0), (30.0, 30.0, 15.0, 15.0)),
        "for each stage, the weights of its box coder, above 0; later stages move boxes less; mmdetection's "
        "`target_stds`.",
    ]
    cascade_loss_weights: Annotated[
        tuple[float, ...],
        (1.0, 0.5, 0.25),
        "for each stage, the weight of its loss, at least 0; mmdetection.",
    ]


@keras.saving.register_keras_serializable("keras_frcnn")
@takes(CascadeRCNNArguments)
class CascadeRCNN(ProposingDetector):
    """Cascade R-CNN (Cai and Vasconcelos, 2018): each stage refines the boxes that the next one trains on.

    A head trained on RoIs of IoU 0.5 is not strict enough for good boxes, but too few proposals reach an IoU
    of 0.7. So each stage passes its class-agnostic boxes to the next one, which requires a higher IoU. At
    test time the scores of the stages are averaged, as in detectron2; the boxes come from the last stage.

    Args:
        class_names, backbone, backbone_weights: see `FasterRCNN`.
        **arguments: the groups in `models/arguments.py`.

    Call arguments, returns: see `Detector.call`.

    Example:
        >>> model = CascadeRCNN(["cell"], backbone="tiny_fpn", image_size=(128, 128))
        >>> model(tf.zeros([1, 128, 160, 3]))["boxes"].shape
        TensorShape([1, 100, 4])
    """

    def __init__(
        self,
        class_names,
        backbone="tiny_fpn",
        backbone_weights="none",
        **arguments: Unpack[CascadeRCNNArguments],
    ):
        names = ("rpn_class_loss", "rpn_box_loss", "class_loss", "box_loss", "proposal_recall")
        super().__init__(class_names, backbone, backbone_weights, arguments, names)
        info, values = self.backbone_info, self.arguments
        numbers = ("cascade_ious", "cascade_coder_weights", "cascade_loss_weights")
        if len({len(values[name]) for name in numbers}) != 1 or not values[numbers[0]]:
            raise ValueError(
                f"{', '.join(numbers)} are empty or have different lengths; give one of each for each stage."
            )
        self.head_names = tuple(f"head{stage}" for stage in range(1, len(values["cascade_ious"]) + 1))
        with self.dtype_scope():
            self.rpn = region_proposal_network(info, values)
            self.roi_pooling = roi_pooling(info, values)
            shape = self.roi_pooling.roi_shape(info.channels)
            for name in self.head_names:
                own = info if name == "head1" or info.head is None else _with_own_head(info)
                head = detection_head(
                    own,
                    values,
                    len(self.class_names),
                    shape,
                    name,
                    class_agnostic=True,
                    convs=values["head_convs"],
                )
                setattr(self, name, head)
        self.finish_assembly()

    def connect_stages(self):
        self.proposals = ProposalStage.from_arguments(self.rpn, self.arguments)
        self.region_stages = tuple(
            RegionStage.from_arguments(
                self.pool,
                head,
                {**self.arguments, "head_positive_iou": iou, "head_negative_iou": (0.0, iou)},
                coder_weights,
            )
            for head, iou, coder_weights in zip(
                self.detection_heads(),
                self.arguments["cascade_ious"],
                self.arguments["cascade_coder_weights"],
            )
        )

    def infer(self, x, training=False):
        image_shapes = x["image_shapes"]
        features = self.features(x["images"], image_shapes, training)
        proposed = self.proposals(features, image_shapes)
        rois, probabilities = proposed.boxes, []
        for stage in self.region_stages:
            class_logits, deltas = stage.head_outputs(features, rois, training)
            probabilities.append(tf.nn.softmax(class_logits))
            boxes = stage.coder.decode(deltas, rois[:, :, None])
            rois = box_ops.clip(boxes[:, :, 0], image_shapes)
        scores = tf.add_n(probabilities) / len(probabilities)
        return self.region_stages[-1].postprocess(scores, boxes, proposed.is_box, image_shapes)

    def training_losses(self, x, y, training):
        image_shapes = x["image_shapes"]
        features = self.features(x["images"], image_shapes, training)
        proposed = self.proposals(features, image_shapes, training=True)
        seed = self.sampling_seed(training)
        losses = self.proposals.losses(proposed, features, image_shapes, y, seed, training)
        losses |= {"class_loss": 0.0, "box_loss": 0.0}
        rois, is_box = proposed.boxes, proposed.is_box
        for stage, weight in zip(self.region_stages, self.arguments["cascade_loss_weights"]):
            sample = stage.sample(rois, is_box, y, self.sampling_seed(training))
            class_logits, deltas = stage.head_outputs(features, sample.rois, training)
            for name, loss in stage.losses_of(sample, class_logits, deltas).items():
                losses[name] += weight * loss
            boxes = box_ops.clip(stage.coder.decode(deltas[:, :, 0], sample.rois), image_shapes)
            # The next stage trains on these boxes; no gradient flows through their coordinates.
            rois = tf.stop_gradient(boxes)
            is_box = sample.valid & box_ops.is_box(rois)
        return losses, {"proposal_recall": recall(proposed.boxes, proposed.is_box, y)}


def _with_own_head(backbone):
    """The backbone with a copy of the layers that it brings for a head, such as the conv5 of a ResNet."""
    return dataclasses.replace(backbone, head=copied_network(backbone.head))
