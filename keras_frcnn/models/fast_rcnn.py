"""Fast R-CNN.

Letters: B images, P proposals, L levels of an image pyramid, K classes.
"""

import keras

from keras_frcnn import backbones
from keras_frcnn.models import region_classification
from keras_frcnn.models.box_statistics import box_statistics
from keras_frcnn.models.detector import Detector
from keras_frcnn.models.external_proposals import ExternalProposals


@keras.saving.register_keras_serializable("keras_frcnn")
class FastRCNN(ExternalProposals, Detector):
    """Fast R-CNN (Girshick, 2015): one pass of the network an image, RoI pooling of proposals made elsewhere.

    Deltas are normalised by their mean and deviation in each class, which `prepare_training` takes from the
    training set; files hold weights with both folded in, so that a saved model answers in plain deltas.

    Args:
        class_names: names of the K classes, without background.
        backbone, backbone_weights, image_size, resize_rounding, canvas, preprocessing, frozen_batch_norm,
        batch_norm_epsilon: see `FasterRCNN`.
        frozen_stages: stages of the backbone that do not train. The depths of section 4.5 are, with VGG16, 5
            (fine-tune fc6 and above), 2 (conv3_1 and above, the paper's choice) and 1 (conv2_1 and above).
        pyramid_sides: short sides of an image pyramid at test, such as `(480, 576, 688, 864, 1200)`: each RoI
            is pooled from the level where its area is nearest to 224² (section 5.2). By default one scale.
        pyramid_limit: limit of the long side in the pyramid, pixels; 2000 in the paper.
        pooling, pool_size, pool_samples, pool_aligned, pool_corners, head_convs, head_units, head_dropout,
        head_ranks, head_positive_iou, head_positive_fraction, head_beta, class_agnostic, box_loss_weight,
        score_threshold, nms_iou, max_detections, min_box_size: see `FasterRCNN`.
        head_negative_iou: `(low, high)` of background; the paper leaves out what is below 0.1 and above 0.
        head_batch_size: RoIs an image; 64, with 2 images a batch, in the paper.

    Call arguments, returns: see `Detector.call`; the dict needs "proposals".

    Example:
        >>> model = FastRCNN(["cell"], backbone="mobilenet_v2", image_size=(128, 128))
        >>> model.detect(np.zeros([96, 128, 3], np.uint8), proposals=[[0, 0, 64, 64]])["labels"].dtype
        dtype('int32')
    """

    def __init__(
        self,
        class_names,
        backbone="vgg16",
        backbone_weights="none",
        *,
        image_size=None,
        resize_rounding=None,
        canvas=False,
        preprocessing=None,
        frozen_stages=None,
        frozen_batch_norm=None,
        batch_norm_epsilon=None,
        pyramid_sides=(),
        pyramid_limit=2000,
        pooling=None,
        pool_size=None,
        pool_samples=2,
        pool_aligned=None,
        pool_corners="inclusive",
        head_convs=None,
        head_units=None,
        head_dropout=None,
        head_ranks=None,
        head_positive_iou=0.5,
        head_negative_iou=(0.1, 0.5),
        head_batch_size=64,
        head_positive_fraction=0.25,
        head_beta=1.0,
        class_agnostic=False,
        box_loss_weight=1.0,
        score_threshold=0.05,
        nms_iou=None,
        max_detections=100,
        min_box_size=None,
        weights_source=None,
        **kwargs,
    ):
        # The arguments as they came, in place of twenty assignments; nothing is defined before this line.
        arguments = {
            name: value for name, value in locals().items() if name not in ("self", "kwargs", "__class__")
        }
        super().__init__(
            class_names,
            loss_names=("class_loss", "box_loss", "proposal_recall"),
            **kwargs,
        )
        with backbones.dtype_policy(self.dtype_policy):
            parts = self.open_backbone(arguments)
            recipe = self.resolve(arguments, parts, region_classification.defaults(parts.pyramid))
            self.check_pyramid(parts, recipe)
            self.assemble_backbone(parts, recipe)
            self.assemble_head(parts, recipe, normalised=True, convs=recipe.head_convs)
        self.finish_assembly()

    def prepare_training(self, dataset, flip=0.5):
        """Normalise deltas by what they are in a training set; call it before `fit`.

        Args:
            dataset: `DetectionDataset` with proposals.
            flip: probability of mirroring a training image, the one that `batches` has.
        """
        self.head.normalise_boxes(
            *box_statistics(dataset, self.recipe["head_positive_iou"], self.recipe["class_agnostic"], flip)
        )
