"""Faster R-CNN.

Letters: B images, A anchors, R proposals, S sampled, N detections, K classes.
"""

from types import MappingProxyType, SimpleNamespace

import keras
import tensorflow as tf

from keras_frcnn import backbones
from keras_frcnn import boxes as box_ops
from keras_frcnn.layers import (
    AnchorGenerator,
    DetectionHead,
    PixelNormalization,
    RegionProposalNetwork,
    RoIAlign,
    RoIPooling,
)
from keras_frcnn.losses import detection_loss, rpn_loss
from keras_frcnn.models.detector import Detector
from keras_frcnn.nms import postprocess
from keras_frcnn.sampling import AnchorTargets, ProposalTargets, recall

POOLINGS = {"roi_pooling": RoIPooling, "roi_align": RoIAlign}

# Where the two lines of recipes part: one feature map (py-faster-rcnn) or a pyramid (torchvision).
SINGLE_LEVEL = {
    "objectness": "softmax",
    "rpn_channels": 512,
    "rpn_pre_nms": (12000, 6000),
    "rpn_post_nms": (2000, 300),
    "rpn_min_size": 16.0,
    "rpn_cross_border": False,
    "pooling": "roi_pooling",
    "head_batch_size": 128,
    "head_beta": 1.0,
    "nms_iou": 0.3,
}
PYRAMID = {
    "objectness": "sigmoid",
    "rpn_channels": 256,
    "rpn_pre_nms": (2000, 1000),
    "rpn_post_nms": (2000, 1000),
    "rpn_min_size": 1e-3,
    "rpn_cross_border": True,
    "pooling": "roi_align",
    "head_batch_size": 512,
    "head_beta": 1.0 / 9.0,
    "nms_iou": 0.5,
}
EITHER = {"pool_size": 7, "head_units": (1024, 1024), "head_dropout": 0.0, "frozen_stages": 0}


@keras.saving.register_keras_serializable("keras_frcnn")
class FasterRCNN(Detector):
    """Faster R-CNN (Ren et al., 2015), over one feature map or a pyramid, trained approximately jointly.

    The constructor is the recipe. An argument left at None takes the default of the backbone, else that of
    py-faster-rcnn (one feature map) or of torchvision (pyramid); `get_config` tells which it was.

    Args:
        class_names: names of the K classes, without background.
        backbone: a name of `keras_frcnn.backbones.NETWORKS`, or a `keras.Model` with named levels.
        backbone_weights: "imagenet", "none" or a weights file; acts at construction only.
        image_size: `(short side, limit of the long side)`, pixels; 600 and 1000 in the paper.
        canvas: letterbox every image into one square of `image_size[1]`.
        preprocessing: "caffe", "torch" or "tf"; by default what the weights want.
        frozen_stages: stages of the backbone that do not train, counted from the image; 2 of VGG16 in the
            paper, 0 with weights "none".
        frozen_batch_norm: whether batch normalisation keeps its statistics; by default where weights are
            pretrained.
        anchor_sizes, anchor_ratios, anchor_offset, anchor_rounding: see `AnchorGenerator`.
        objectness, rpn_channels, rpn_pre_nms, rpn_post_nms, rpn_nms_iou, rpn_min_size: see
            `RegionProposalNetwork`.
        rpn_positive_iou, rpn_negative_iou, rpn_batch_size, rpn_positive_fraction, rpn_cross_border: see
            `AnchorTargets`.
        rpn_beta: of the smooth L1; 1/9 in py-faster-rcnn and torchvision.
        pooling: "roi_pooling" or "roi_align".
        pool_size, pool_samples, pool_aligned: see `RoISampling`.
        head_units, head_dropout: see `DetectionHead`; not used where the backbone brings a head.
        head_positive_iou, head_negative_iou, head_batch_size, head_positive_fraction: see
            `ProposalTargets`.
        head_coder_weights: of the box coder; 10, 10, 5, 5 are py-faster-rcnn's normalised deltas.
        head_beta: of the smooth L1; 1 in Fast R-CNN, 1/9 in torchvision.
        class_agnostic: one box an RoI instead of one for each class.
        box_loss_weight: λ of the multi-task loss.
        score_threshold, nms_iou, max_detections: see `postprocess`.

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
        image_size=(600, 1000),
        canvas=False,
        preprocessing=None,
        frozen_stages=None,
        frozen_batch_norm=None,
        anchor_sizes=None,
        anchor_ratios=(0.5, 1.0, 2.0),
        anchor_offset=0.5,
        anchor_rounding="none",
        objectness=None,
        rpn_channels=None,
        rpn_pre_nms=None,
        rpn_post_nms=None,
        rpn_nms_iou=0.7,
        rpn_min_size=None,
        rpn_positive_iou=0.7,
        rpn_negative_iou=0.3,
        rpn_batch_size=256,
        rpn_positive_fraction=0.5,
        rpn_cross_border=None,
        rpn_beta=1.0 / 9.0,
        pooling=None,
        pool_size=None,
        pool_samples=2,
        pool_aligned=True,
        head_units=None,
        head_dropout=None,
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
        weights_source=None,
        **kwargs,
    ):
        # The arguments as they came, in place of forty assignments; nothing is defined before this line.
        recipe = {
            name: value for name, value in locals().items() if name not in ("self", "kwargs", "__class__")
        }
        super().__init__(
            class_names,
            image_size,
            canvas,
            max_detections,
            loss_names=("rpn_class_loss", "rpn_box_loss", "class_loss", "box_loss", "proposal_recall"),
            **kwargs,
        )
        if isinstance(backbone, dict):
            recipe["backbone"] = backbone = keras.saving.deserialize_keras_object(backbone)
        with backbones.dtype_policy(self.dtype_policy):
            parts = backbones.get(backbone, backbone_weights)
            self.recipe = MappingProxyType(_resolve(recipe, parts))
            self._assemble(parts, SimpleNamespace(**self.recipe))

    def _assemble(self, parts, recipe):
        self.stride = max(parts.strides) if not parts.pyramid else parts.strides[parts.pooled_levels - 1]
        self.pooled_levels = parts.pooled_levels
        parts.freeze(recipe.frozen_stages, recipe.frozen_batch_norm)
        self.pixels = PixelNormalization(recipe.preprocessing, self.stride, name="pixels")
        self.backbone = parts.network
        self.backbone_parts = parts
        self.rpn = RegionProposalNetwork(
            AnchorGenerator(
                recipe.anchor_sizes,
                parts.strides,
                recipe.anchor_ratios,
                recipe.anchor_offset,
                recipe.anchor_rounding,
            ),
            recipe.rpn_channels,
            recipe.objectness,
            recipe.rpn_pre_nms,
            recipe.rpn_post_nms,
            recipe.rpn_nms_iou,
            recipe.rpn_min_size,
            name="rpn",
        )
        self.roi_pooling = POOLINGS[recipe.pooling](
            recipe.pool_size,
            parts.strides[: parts.pooled_levels],
            recipe.pool_samples,
            recipe.pool_aligned,
            name="roi_pooling",
        )
        self.head = DetectionHead(
            len(self.class_names),
            recipe.head_units,
            recipe.head_dropout,
            parts.head,
            recipe.class_agnostic,
            name="head",
        )
        channels = [level.shape[-1] for level in parts.network.outputs]
        self.rpn.build([(None, None, None, count) for count in channels])
        self.head.build((None, None, recipe.pool_size, recipe.pool_size, channels[0]))

        self.anchor_targets = AnchorTargets(
            self.rpn.coder,
            recipe.rpn_positive_iou,
            recipe.rpn_negative_iou,
            recipe.rpn_batch_size,
            recipe.rpn_positive_fraction,
            recipe.rpn_cross_border,
        )
        self.box_coder = box_ops.BoxCoder(recipe.head_coder_weights)
        self.proposal_targets = ProposalTargets(
            self.box_coder,
            recipe.head_positive_iou,
            recipe.head_negative_iou,
            recipe.head_batch_size,
            recipe.head_positive_fraction,
        )

    def features(self, images, image_shapes, training):
        """Feature maps of images, a list from fine to coarse."""
        features = self.backbone(self.pixels(images, image_shapes), training=training)
        return list(features) if isinstance(features, (list, tuple)) else [features]

    def infer(self, images, image_shapes, training=False):
        recipe = self.recipe
        features = self.features(images, image_shapes, training)
        rpn = self.rpn(features, image_shapes)
        proposals = rpn["proposals"]
        pooled = self.roi_pooling(features[: self.pooled_levels], proposals)
        class_logits, deltas = self.head(pooled, training=training)
        return postprocess(
            tf.nn.softmax(class_logits),
            self.box_coder.decode(deltas, proposals[:, :, None]),
            tf.sequence_mask(rpn["count"], tf.shape(proposals)[1]),
            image_shapes,
            recipe["score_threshold"],
            recipe["nms_iou"],
            recipe["max_detections"],
        )

    def training_losses(self, x, y, training):
        recipe = self.recipe
        images, image_shapes = self.unpack(x)
        features = self.features(images, image_shapes, training)

        rpn = self.rpn(features, image_shapes, training=True)
        index, targets, positive, valid = self.anchor_targets(
            rpn["anchors"], image_shapes, y, self.sampling_seed(training)
        )
        objectness = tf.gather(rpn["objectness"], index, axis=1, batch_dims=1)
        deltas = tf.gather(rpn["deltas"], index, axis=1, batch_dims=1)
        rpn_class_loss, rpn_box_loss = rpn_loss(
            objectness, deltas, targets, positive, valid, recipe["rpn_beta"]
        )

        # Approximate joint training: no gradient flows through the coordinates of proposals.
        proposals = rpn["proposals"]
        proposed = tf.sequence_mask(rpn["count"], tf.shape(proposals)[1])
        rois, labels, targets, positive, valid = self.proposal_targets(
            proposals, proposed, y, self.sampling_seed(training)
        )
        pooled = self.roi_pooling(features[: self.pooled_levels], rois)
        class_logits, deltas = self.head(pooled, training=training)
        class_loss, box_loss = detection_loss(
            class_logits, deltas, labels, targets, positive, valid, recipe["head_beta"]
        )
        losses = {
            "rpn_class_loss": rpn_class_loss,
            "rpn_box_loss": rpn_box_loss,
            "class_loss": class_loss,
            "box_loss": recipe["box_loss_weight"] * box_loss,
        }
        return losses, {"proposal_recall": recall(proposals, proposed, y)}

    def get_config(self):
        recipe = {name: value for name, value in self.recipe.items() if name != "backbone_weights"}
        if isinstance(recipe["backbone"], keras.Model):
            recipe["backbone"] = keras.saving.serialize_keras_object(recipe["backbone"])
        return {**recipe, **super().get_config()}


def _resolve(recipe, parts):
    """Fill what was left open: the backbone's own default, else that of its kind."""
    pretrained = parts.source not in ("none", "as given")
    defaults = {
        **EITHER,
        **(PYRAMID if parts.pyramid else SINGLE_LEVEL),
        **parts.defaults,
        "preprocessing": parts.preprocessing,
        "anchor_sizes": parts.anchor_sizes,
        "frozen_batch_norm": pretrained,
        "weights_source": parts.source,
    }
    if not pretrained:
        defaults["frozen_stages"] = 0
    resolved = {name: defaults[name] if value is None else value for name, value in recipe.items()}
    if resolved["pooling"] not in POOLINGS:
        raise ValueError(f"Unknown pooling {resolved['pooling']!r}; use one of {', '.join(POOLINGS)}.")
    return resolved
