"""SPPnet.

Letters: K classes.
"""

import dataclasses

import keras

from keras_frcnn import backbones
from keras_frcnn.layers import SpatialPyramidPooling
from keras_frcnn.models import region_classification
from keras_frcnn.models.detector import Detector
from keras_frcnn.models.staged_training import StagedTraining


@keras.saving.register_keras_serializable("keras_frcnn")
class SPPNet(StagedTraining, Detector):
    """SPPnet (He et al., 2014): one pass an image, spatial pyramid pooling, training in stages.

    The convolutions never train, for the paper's pyramid passes no gradient on. `fit` fine-tunes the fully
    connected layers; `finish_training` makes the classifiers and the box regressors. Published weights of
    fully connected layers do not fit the pyramid's 50 bins, so these layers begin new.

    Args:
        class_names: names of the K classes, without background.
        backbone: of one feature map.
        backbone_weights, image_size, canvas, preprocessing: see `FasterRCNN`.
        pool_levels: bins along a side in each level of the pyramid (section 4.1).
        pool_corners: which cells belong to a region, "centers" (appendix A) or "inclusive" (Caffe's
            RoI pooling); see `SpatialPyramidPooling`.
        pool_offset: of "centers", likewise; by default 0.5, and 1/32 of zf, which pads as in the paper: its
            cells see around the middle of their first pixel.
        pyramid_sides, pyramid_limit: see `FastRCNN`; the paper's five scales are 480, 576, 688, 864, 1200.
        classifier: "softmax", that of the fine-tuned network, or "svm".
        svm_c, svm_negative_iou: cost of the SVMs; a region is a negative of a class below this IoU.
        box_positive_iou, box_ridge: boxes are regressed from regions from this IoU on, with this λ; numbers
            of the authors' code (github.com/ShaoqingRen/SPP_net).
        seed: of the SVM solver.
        head_units, head_dropout, head_ranks, head_positive_iou, head_negative_iou, head_batch_size,
        head_positive_fraction, class_agnostic, score_threshold, nms_iou, max_detections: see `FastRCNN`.

    Call arguments, returns: see `Detector.call`; the dict needs "proposals".
    """

    earlier = {"pool_corners": "inclusive"}

    def __init__(
        self,
        class_names,
        backbone="vgg16",
        backbone_weights="none",
        *,
        image_size=(600, 1000),
        canvas=False,
        preprocessing=None,
        pool_levels=(1, 2, 3, 6),
        pool_corners="centers",
        pool_offset=None,
        pyramid_sides=(),
        pyramid_limit=2000,
        classifier="softmax",
        svm_c=0.001,
        svm_negative_iou=0.3,
        box_positive_iou=0.5,
        box_ridge=4000.0,
        seed=0,
        head_units=None,
        head_dropout=None,
        head_ranks=None,
        head_positive_iou=0.5,
        head_negative_iou=(0.1, 0.5),
        head_batch_size=64,
        head_positive_fraction=0.25,
        class_agnostic=False,
        score_threshold=0.05,
        nms_iou=None,
        max_detections=100,
        weights_source=None,
        **kwargs,
    ):
        # The arguments as they came, in place of twenty assignments; nothing is defined before this line.
        arguments = {
            name: value for name, value in locals().items() if name not in ("self", "kwargs", "__class__")
        }
        super().__init__(
            class_names,
            loss_names=("class_loss", "proposal_recall"),
            **kwargs,
        )
        with backbones.dtype_policy(self.dtype_policy):
            # The pyramid makes vectors, which the head that a ResNet brings cannot take.
            parts = dataclasses.replace(self.open_backbone(arguments), head=None)
            defaults = {**region_classification.defaults(parts.pyramid), "pool_offset": 0.5}
            recipe = self.resolve(arguments, parts, defaults)
            self.check_single_map(parts)
            self.check_pyramid(parts, recipe)
            recipe.frozen_stages, recipe.frozen_batch_norm = len(parts.stages), True
            self.assemble_backbone(parts, recipe)
            parts.network.trainable = False
            self.assemble_head(parts, recipe, boxes_from="pooled")
            self.assemble_stages(recipe)
        self.finish_assembly()

    def make_pooling(self, strides, recipe):
        return SpatialPyramidPooling(
            recipe.pool_levels,
            strides,
            corners=recipe.pool_corners,
            offset=recipe.pool_offset,
            name="roi_pooling",
        )
