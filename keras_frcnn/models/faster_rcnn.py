"""Faster R-CNN.

Letters: B images, A anchors, R proposals, S sampled, N detections, K classes.
"""

import keras
import tensorflow as tf

from keras_frcnn import backbones
from keras_frcnn.models import region_classification, region_proposals
from keras_frcnn.models.detector import Detector
from keras_frcnn.models.region_classification import RegionClassification
from keras_frcnn.models.region_proposals import RegionProposals
from keras_frcnn.sampling import recall


@keras.saving.register_keras_serializable("keras_frcnn")
class FasterRCNN(RegionProposals, RegionClassification, Detector):
    """Faster R-CNN (Ren et al., 2015), over one feature map or a pyramid, trained approximately jointly.

    The constructor is the recipe. An argument left at None takes the default of the backbone, else that of
    py-faster-rcnn (one feature map) or of torchvision (pyramid); `get_config` tells which it was.

    Args:
        class_names: names of the K classes, without background.
        backbone: a name of `keras_frcnn.backbones.NETWORKS`, or a `keras.Model` with named levels.
        backbone_weights: "imagenet", "none" or a weights file; acts at construction only.
        image_size: `(short side, limit of the long side)`, pixels; 600 and 1000 in the paper.
        resize_rounding: of test time, see `images.resized_shape`; batches of training are resized "exact".
        canvas: letterbox every image into one square of `image_size[1]`.
        preprocessing: "caffe", "torch" or "tf"; by default what the weights want.
        frozen_stages: stages of the backbone that do not train, counted from the image; 2 of VGG16 in the
            paper, 0 with weights "none".
        frozen_batch_norm: whether batch normalisation keeps its statistics, in the backbone and in the head;
            by default where weights are pretrained, but for `resnet50_fpn_v2`.
        batch_norm_epsilon: of all batch normalisation; by default what each network has.
        anchor_sizes, anchor_ratios, anchor_offset, anchor_rounding, anchor_steps: see `AnchorGenerator`.
        objectness, rpn_channels, rpn_depth, rpn_pre_nms, rpn_post_nms, rpn_nms_iou, rpn_min_size,
        rpn_min_size_first, rpn_score_threshold: see `RegionProposalNetwork`.
        rpn_positive_iou, rpn_negative_iou, rpn_batch_size, rpn_positive_fraction, rpn_cross_border: see
            `AnchorTargets`.
        rpn_beta: of the smooth L1; 1/9 in py-faster-rcnn and torchvision.
        rpn_box_loss_weight: λ of the RPN's loss; 1 in py-faster-rcnn and torchvision, 10 in the paper.
        rpn_box_normalizer: what divides the RPN's box loss: "sampled", the anchors of the minibatch, as in
            py-faster-rcnn and torchvision; or "locations", the cells of the feature maps, as in the paper. On
            a map of 40 × 60 cells the paper's 10/2400 is 1.07 times the 1/256 of the other form.
        pooling: "roi_pooling", "roi_align" or "exact", which is `ExactRoIPooling`.
        pool_size, pool_samples, pool_aligned: see `RoISampling`.
        pool_corners: of "exact", see `ExactRoIPooling`.
        head_convs, head_units, head_dropout, head_ranks: see `DetectionHead`; not used where the backbone
            brings a head.
        head_background_box: see `DetectionHead`.
        head_positive_iou, head_negative_iou, head_batch_size, head_positive_fraction: see
            `ProposalTargets`.
        head_coder_weights: of the box coder; 10, 10, 5, 5 are py-faster-rcnn's normalised deltas.
        head_beta: of the smooth L1; 1 in Fast R-CNN, 1/9 in torchvision.
        class_agnostic: one box an RoI instead of one for each class.
        box_loss_weight: λ of the multi-task loss.
        score_threshold, nms_iou, max_detections, min_box_size: see `postprocess`.

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
        pooling=None,
        pool_size=None,
        pool_samples=2,
        pool_aligned=None,
        pool_corners="inclusive",
        head_convs=None,
        head_units=None,
        head_dropout=None,
        head_ranks=None,
        head_background_box=None,
        head_positive_iou=0.5,
        head_negative_iou=(0.0, 0.5),
        head_batch_size=None,
        head_positive_fraction=0.25,
        head_coder_weights=(10.0, 10.0, 5.0, 5.0),
        head_beta=None,
        class_agnostic=False,
        box_loss_weight=1.0,
        score_threshold=0.05,
        nms_iou=None,
        max_detections=100,
        min_box_size=None,
        weights_source=None,
        **kwargs,
    ):
        # The arguments as they came, in place of forty assignments; nothing is defined before this line.
        arguments = {
            name: value for name, value in locals().items() if name not in ("self", "kwargs", "__class__")
        }
        super().__init__(
            class_names,
            loss_names=("rpn_class_loss", "rpn_box_loss", "class_loss", "box_loss", "proposal_recall"),
            **kwargs,
        )
        with backbones.dtype_policy(self.dtype_policy):
            parts = self.open_backbone(arguments)
            recipe = self.resolve(
                arguments,
                parts,
                region_proposals.defaults(parts.pyramid),
                region_classification.defaults(parts.pyramid),
            )
            self.assemble_backbone(parts, recipe)
            self.assemble_rpn(parts, recipe)
            self.assemble_head(
                parts,
                recipe,
                recipe.head_coder_weights,
                convs=recipe.head_convs,
                background_box=recipe.head_background_box,
            )
        self.finish_assembly()

    def infer(self, x, training=False):
        image_shapes = x["image_shapes"]
        features = self.features(x["images"], image_shapes, training)
        rpn = self.rpn(features, image_shapes)
        proposals = rpn["proposals"]
        pooled = self.pool(features, proposals, training)
        proposed = tf.sequence_mask(rpn["count"], tf.shape(proposals)[1])
        return self.classify(pooled, proposals, proposed, image_shapes, training)

    def training_losses(self, x, y, training):
        x = self.unpack(x)
        image_shapes = x["image_shapes"]
        features = self.features(x["images"], image_shapes, training)
        rpn = self.rpn(features, image_shapes, training=True)
        # Approximate joint training: no gradient flows through the coordinates of proposals.
        proposals = rpn["proposals"]
        proposed = tf.sequence_mask(rpn["count"], tf.shape(proposals)[1])
        losses = {
            **self.rpn_losses(rpn, features, image_shapes, y, training),
            **self.head_losses(features, proposals, proposed, y, training),
        }
        return losses, {"proposal_recall": recall(proposals, proposed, y)}
