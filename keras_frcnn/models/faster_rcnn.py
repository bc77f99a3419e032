"""Faster R-CNN.

Letters: K classes. Terms beside those of the paper: a cell is a position of the sliding window, deltas are t,
and the head is what follows RoI pooling.
"""

import os
from collections.abc import Sequence
from typing import Annotated, Any, Unpack

import keras

from keras_frcnn.models.arguments import (
    AnswerArguments,
    BoxHeadArguments,
    ForegroundArguments,
    FreezingArguments,
    ImageArguments,
    PoolingArguments,
    ProposalArguments,
)
from keras_frcnn.models.constructor import takes
from keras_frcnn.models.defaults import BackboneOr
from keras_frcnn.models.proposal_stage import ProposalStage, region_proposal_network
from keras_frcnn.models.proposing_detector import ProposingDetector
from keras_frcnn.models.region_stage import RegionStage, detection_head, roi_pooling
from keras_frcnn.sampling import recall


class FasterRCNNArguments(
    ImageArguments,
    FreezingArguments,
    ProposalArguments,
    PoolingArguments,
    BoxHeadArguments,
    ForegroundArguments,
    AnswerArguments,
    total=False,
):
    """Arguments of Faster R-CNN."""

    head_background_box: Annotated[
        bool | None,
        BackboneOr(False),
        "whether the box layer has outputs for the background too, as in torchvision; nothing reads them.",
    ]
    head_coder_weights: Annotated[
        tuple[float, float, float, float],
        (10.0, 10.0, 5.0, 5.0),
        "weights of the box coder, above 0; the default matches py-faster-rcnn's normalized deltas.",
    ]


# The function behind `from_preset`. The package `weights` registers it on import, because `models` must not
# import it.
PRESET_BUILDERS = {}


@keras.saving.register_keras_serializable("keras_frcnn")
@takes(FasterRCNNArguments)
class FasterRCNN(ProposingDetector):
    """Faster R-CNN (Ren et al., 2015), over one feature map or a pyramid, trained approximately jointly.

    Sections are those of arXiv:1506.01497v3. An argument left at None takes the default of the backbone,
    otherwise that of the table, mostly py-faster-rcnn's (one feature map) or torchvision's (pyramid);
    `model.arguments` holds the result.

    Args:
        class_names (list[str]): names of the K classes, without background.
        backbone (str, keras.Model or Backbone): a name of `keras_frcnn.backbones.NETWORKS`, a network that
            outputs feature maps by name, fine to coarse, or one of `backbones.pyramid`; see `backbones.get`.
        backbone_weights (str): "imagenet", "none" or a weights file; only used at construction.
        **arguments: the groups in `models/arguments.py`.

    Call arguments, returns: see `Detector.call`.

    Example:
        >>> model = FasterRCNN(["cell"], backbone="tiny_fpn", image_size=(128, 128))
        >>> model(tf.zeros([1, 128, 160, 3]))["boxes"].shape
        TensorShape([1, 100, 4])
    """

    def __init__(
        self,
        class_names,
        backbone="tiny_fpn",
        backbone_weights="none",
        **arguments: Unpack[FasterRCNNArguments],
    ):
        log_names = ("rpn_class_loss", "rpn_box_loss", "class_loss", "box_loss", "proposal_recall")
        super().__init__(class_names, backbone, backbone_weights, arguments, log_names)
        info, values = self.backbone_info, self.arguments
        with self.dtype_scope():
            self.rpn = region_proposal_network(info, values)
            self.roi_pooling = roi_pooling(info, values)
            self.head = detection_head(
                info,
                values,
                len(self.class_names),
                self.roi_pooling.roi_shape(info.channels),
                class_agnostic=values["class_agnostic"],
                convs=values["head_convs"],
                background_box=values["head_background_box"],
            )
        self.finish_assembly()

    def connect_stages(self):
        self.proposals = ProposalStage.from_arguments(self.rpn, self.arguments)
        self.regions = RegionStage.from_arguments(
            self.pool, self.head, self.arguments, self.arguments["head_coder_weights"]
        )

    def infer(self, x, training=False):
        image_shapes = x["image_shapes"]
        features = self.features(x["images"], image_shapes, training)
        proposed = self.proposals(features, image_shapes)
        return self.regions.detect(features, proposed.boxes, proposed.is_box, image_shapes, training)

    def training_losses(self, x, y, training):
        image_shapes = x["image_shapes"]
        features = self.features(x["images"], image_shapes, training)
        # Approximate joint training: no gradient flows through the coordinates of proposals. Validation makes
        # as many of them as training.
        proposed = self.proposals(features, image_shapes, training=True)
        anchor_seed, roi_seed = self.sampling_seed(training), self.sampling_seed(training)
        losses = {
            **self.proposals.losses(proposed, features, image_shapes, y, anchor_seed, training),
            **self.regions.losses(features, proposed.boxes, proposed.is_box, y, roi_seed, training),
        }
        return losses, {"proposal_recall": recall(proposed.boxes, proposed.is_box, y)}

    @staticmethod
    def from_preset(
        name: str,
        class_names: Sequence[str] | None = None,
        weights_url: str | os.PathLike | None = None,
        **arguments: Any,
    ) -> "FasterRCNN":
        """Build a detector with published weights, which are fetched on first use and then kept.

        Args:
            name: such as "fasterrcnn_resnet50_fpn_coco"; `keras_frcnn.presets()` lists all names.
            class_names: names of the K classes, for a detector that is trained further: weights that fit are
                taken, also the rows of classes of the same name. By default the published classes.
            weights_url: address, or folder, that has the published files instead of their publisher; by
                default that of the environment variable `KERAS_FRCNN_WEIGHTS_URL`, if any.
            **arguments: arguments of `FasterRCNN` that differ from the published detector's.

        Returns:
            `FasterRCNN`, not compiled; its first stages are frozen as where it was trained.

        Raises:
            OSError: the cache, `~/.keras/models` or under `KERAS_HOME`, cannot be written.
            TypeError: `backbone`, `backbone_weights` or `weights_source` is given.
            ValueError: there is no such preset, or its file can neither be found nor fetched.

        Example:
            >>> model = FasterRCNN.from_preset("fasterrcnn_resnet50_fpn_coco")
            >>> model.detect("street.jpg")["labels"]
        """
        return PRESET_BUILDERS["from_preset"](name, class_names, weights_url, **arguments)
