"""Fast R-CNN.

Letters: B images, P proposals, K classes.
"""

from typing import Annotated, Unpack

import keras

from keras_frcnn.models.arguments import (
    AnswerArguments,
    BoxHeadArguments,
    ForegroundArguments,
    FreezingArguments,
    ImageArguments,
    PoolingArguments,
)
from keras_frcnn.models.box_statistics import box_statistics
from keras_frcnn.models.constructor import takes
from keras_frcnn.models.external_proposals import (
    ExternalProposals,
    HardBackgroundArguments,
    MinibatchArguments,
    PyramidArguments,
)
from keras_frcnn.models.region_stage import RegionStage, detection_head, roi_pooling


class FastRCNNArguments(
    ImageArguments,
    FreezingArguments,
    PyramidArguments,
    PoolingArguments,
    BoxHeadArguments,
    MinibatchArguments,
    ForegroundArguments,
    HardBackgroundArguments,
    AnswerArguments,
    total=False,
):
    """Arguments of Fast R-CNN."""

    head_beta: Annotated[float | None, 1.0, "β of the smooth L1, at least 0; equation 3."]


@keras.saving.register_keras_serializable("keras_frcnn")
@takes(FastRCNNArguments)
class FastRCNN(ExternalProposals):
    """Fast R-CNN (Girshick, 2015): one network pass per image, with RoI pooling of external proposals.

    Deltas are normalized by their mean and deviation in each class, which `prepare_training` measures on the
    training set; files hold weights with both folded in, so a saved model predicts plain deltas. With VGG16,
    the depths of section 4.5 are `frozen_stages` 5 (fine-tune fc6 and above), 2 (conv3_1 and above, the
    paper's choice) and 1 (conv2_1 and above).

    Args:
        class_names, backbone, backbone_weights: see `FasterRCNN`.
        **arguments: the groups in `models/arguments.py`.

    Call arguments, returns: see `Detector.call`; the dict needs "proposals".

    Example:
        >>> model = FastRCNN(["cell"], backbone="mobilenet_v2", image_size=(128, 128))
        >>> model.detect(np.zeros([96, 128, 3], np.uint8), proposals=[[0, 0, 64, 64]])["labels"].dtype
        dtype('int32')
    """

    def __init__(
        self, class_names, backbone="vgg16", backbone_weights="none", **arguments: Unpack[FastRCNNArguments]
    ):
        names = ("class_loss", "box_loss", "proposal_recall")
        super().__init__(class_names, backbone, backbone_weights, arguments, names)
        self.check_pyramid()
        info, values = self.backbone_info, self.arguments
        with self.dtype_scope():
            self.roi_pooling = roi_pooling(info, values)
            self.head = detection_head(
                info,
                values,
                len(self.class_names),
                self.roi_pooling.roi_shape(info.channels),
                normalized=True,
                class_agnostic=values["class_agnostic"],
                convs=values["head_convs"],
            )
        self.finish_assembly()

    def connect_stages(self):
        self.regions = RegionStage.from_arguments(self.pool, self.head, self.arguments)

    def prepare_training(self, dataset, flip=0.5):
        """Normalize deltas by their statistics in a training set; call this before `fit`.

        Args:
            dataset: `DetectionDataset` with proposals.
            flip: probability of mirroring a training image, as given to `batches`.
        """
        statistics = box_statistics(
            dataset, self.arguments["head_positive_iou"], self.arguments["class_agnostic"], flip
        )
        self.head.normalize_boxes(*statistics)
