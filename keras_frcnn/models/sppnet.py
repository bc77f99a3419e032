"""SPPnet.

Letters: K classes.
"""

import dataclasses
from typing import Annotated, Unpack

import keras

from keras_frcnn.layers import SpatialPyramidPooling
from keras_frcnn.models.arguments import (
    AnswerArguments,
    ForegroundArguments,
    HeadArguments,
    ImageArguments,
)
from keras_frcnn.models.constructor import takes
from keras_frcnn.models.defaults import BackboneOr
from keras_frcnn.models.external_proposals import (
    HardBackgroundArguments,
    MinibatchArguments,
    PyramidArguments,
)
from keras_frcnn.models.region_stage import detection_head
from keras_frcnn.models.staged_training import StageArguments, StagedTraining


class SPPNetArguments(
    ImageArguments,
    PyramidArguments,
    StageArguments,
    HeadArguments,
    MinibatchArguments,
    ForegroundArguments,
    HardBackgroundArguments,
    AnswerArguments,
    total=False,
):
    """Arguments of SPPnet."""

    pool_levels: Annotated[
        tuple[int, ...],
        (1, 2, 3, 6),
        "bins along each side, for each level of the pooling pyramid, at least 1; section 4.1.",
    ]
    pool_corners: Annotated[
        str,
        "centers",
        'which cells belong to a region: "centers" (appendix A) or "inclusive" (Caffe\'s RoI pooling); '
        "see `SpatialPyramidPooling`.",
    ]
    pool_offset: Annotated[
        float | None,
        BackboneOr(0.5),
        'with "centers", see `SpatialPyramidPooling`; 1/32 for zf, which pads as in the paper: each '
        "receptive field is centered on the middle of the first pixel of its cell.",
    ]
    box_positive_iou: Annotated[
        float,
        0.5,
        "minimum IoU of the regions that the box regression trains on, 0 to 1; the authors' SPP_net.",
    ]
    box_ridge: Annotated[float, 4000.0, "λ of the box regression, above 0; the authors' SPP_net."]


@keras.saving.register_keras_serializable("keras_frcnn")
@takes(SPPNetArguments)
class SPPNet(StagedTraining):
    """SPPnet (He et al., 2014): one pass per image, spatial pyramid pooling, training in stages.

    The convolutions never train, because the paper's pyramid passes no gradient on. `fit` fine-tunes the
    fully connected layers; `finish_training` fits the classifiers and the box regressors. Published weights
    of fully connected layers do not fit the pyramid's 50 bins, so these layers start with new weights.

    Args:
        class_names, backbone_weights: see `FasterRCNN`.
        backbone (str or keras.Model): network with one feature map.
        **arguments: the groups in `models/arguments.py`.

    Call arguments, returns: see `Detector.call`; the dict needs "proposals".
    """

    earlier = {"pool_corners": "inclusive"}

    def __init__(
        self, class_names, backbone="vgg16", backbone_weights="none", **arguments: Unpack[SPPNetArguments]
    ):
        names = ("class_loss", "proposal_recall")
        super().__init__(class_names, backbone, backbone_weights, arguments, names)
        self.check_pyramid()
        info, values = self.backbone_info, self.arguments
        self.backbone.trainable = False
        with self.dtype_scope():
            self.roi_pooling = SpatialPyramidPooling(
                values["pool_levels"],
                info.strides,
                corners=values["pool_corners"],
                offset=values["pool_offset"],
                name="roi_pooling",
            )
            self.roi_pooling.build((None, None, None, info.channels), (None, None, 4))
            shape = self.roi_pooling.roi_shape(info.channels)
            self.head = detection_head(
                info,
                values,
                len(self.class_names),
                shape,
                boxes_from="pooled",
                class_agnostic=values["class_agnostic"],
            )
        self.assemble_linear_models()
        self.finish_assembly()

    def checked_backbone(self, backbone):
        # Drop a ResNet's head, which cannot take the vectors that the pyramid makes.
        return dataclasses.replace(super().checked_backbone(backbone), head=None)

    def freeze_backbone(self, backbone):
        backbone.freeze(len(backbone.stages), batch_norm=True)
