"""Base class of the detectors with external proposals: Fast R-CNN, SPPnet, R-CNN.

Letters: B images, P proposals, L scales of an image pyramid.
"""

from typing import Annotated, TypedDict

import tensorflow as tf

from keras_frcnn import boxes as box_ops
from keras_frcnn.data.selective_search import checked_proposals
from keras_frcnn.models import batches
from keras_frcnn.models.detector import Detector
from keras_frcnn.models.region_stage import RegionStage
from keras_frcnn.sampling import recall


class PyramidArguments(TypedDict, total=False):
    """An image pyramid at test time."""

    pyramid_sides: Annotated[
        tuple[int, ...],
        (),
        "short sides of an image pyramid at test time, at least 1, such as (480, 576, 688, 864, 1200): each "
        "RoI is pooled from the scale at which its area is nearest to 224² (Fast R-CNN, section 5.2). Empty: "
        "a single scale.",
    ]
    pyramid_limit: Annotated[
        int, 2000, "limit of the long side in the pyramid, in pixels, at least 1; Fast R-CNN, section 5.2."
    ]


class MinibatchArguments(TypedDict, total=False):
    """The RoIs of a minibatch."""

    head_batch_size: Annotated[
        int | None,
        64,
        "RoIs sampled per image, at least 1; 128 from a batch of 2 images; Fast R-CNN, section 2.3.",
    ]


class HardBackgroundArguments(TypedDict, total=False):
    """RoIs that hardly touch an object do not train."""

    head_negative_iou: Annotated[
        tuple[float, float],
        (0.1, 0.5),
        "`(low, high)`, IoU range of background RoIs, 0 to 1; SPPnet, section 4.2, and Fast R-CNN, section "
        "2.3, leave out RoIs below 0.1.",
    ]


class ExternalProposals(Detector):
    """Base of the methods that need external proposals: `x["proposals"]` float32 `[B, P, 4]`, pixels, padded
    with −1.

    The arguments may include `pyramid_sides` and `pyramid_limit`, for an image pyramid at test time.

    Attributes:
        regions: `RegionStage`.
    """

    regions: RegionStage

    needs_proposals = True

    def maps_to_pool(self, images, image_shapes, training):
        """Compute the maps that RoIs are pooled from: the features, except in R-CNN."""
        return self.features(images, image_shapes, training)

    def infer(self, x, training=False):
        features = self.maps_to_pool(x["images"], x["image_shapes"], training)
        is_box = box_ops.is_box(x["proposals"])
        return self.regions.detect(features, x["proposals"], is_box, x["image_shapes"], training)

    def training_losses(self, x, y, training):
        features = self.maps_to_pool(x["images"], x["image_shapes"], training)
        proposals, is_box = x["proposals"], box_ops.is_box(x["proposals"])
        seed = self.sampling_seed(training)
        losses = self.regions.losses(features, proposals, is_box, y, seed, training)
        return losses, {"proposal_recall": recall(proposals, is_box, y)}

    @property
    def detect_signature(self):
        return *super().detect_signature, tf.TensorSpec([None, None, 4], tf.float32)

    def check_inputs(self, x):
        super().check_inputs(x)
        batches.check_proposals(x, type(self).__name__)

    def unpack(self, x):
        x = super().unpack(x)
        return {**x, "proposals": tf.cast(x["proposals"], tf.float32)}

    def detect_batch(self, images, image_size=None, proposals=None):
        """Detect objects in images of one shape, in pixels of the images as given; runs in a graph.

        Args:
            images: `[B, H, W, 3]`, RGB, uint8 or float 0–255.
            image_size: int32 `[2]` instead of the model's own.
            proposals: float32 `[B, P, 4]`, pixels of these images, padded with −1.

        Returns:
            dict as from `call`.
        """
        pooled = self.pool_regions(images, image_size, proposals)
        originals = tf.tile(tf.shape(images)[None, 1:3], [tf.shape(images)[0], 1])
        # Deltas are relative to the proposal, so they also hold in pixels of the original.
        return self.regions.detect_pooled(pooled, proposals, box_ops.is_box(proposals), originals)

    def pool_regions(self, images, image_size, proposals):
        """Pool proposals for the head: `[B, P, …]`; for the arguments see `detect_batch`."""
        if self.arguments.get("pyramid_sides"):
            return self._pool_from_pyramid(images, proposals)
        x, originals = self.resizing.prepare_batch(images, image_size)
        rois = box_ops.rescale(proposals, originals, x["image_shapes"])
        rois = tf.where(box_ops.is_box(proposals)[..., None], rois, -1.0)
        return self.pool(self.maps_to_pool(x["images"], x["image_shapes"], False), rois)

    def _pool_from_pyramid(self, images, proposals):
        """Pool each RoI from the scale at which its area is nearest to 224² (Fast R-CNN, section 5.2)."""
        batch, count = tf.shape(proposals)[0], tf.shape(proposals)[1]
        features, boxes = [], []
        for side in self.arguments["pyramid_sides"]:
            x, originals = self.resizing.prepare_batch(images, (side, self.arguments["pyramid_limit"]))
            features += self.features(x["images"], x["image_shapes"], False)
            scaled = box_ops.rescale(proposals, originals, x["image_shapes"])
            boxes.append(tf.reshape(scaled, [-1, 4]))
        away = tf.stack([tf.abs(box_ops.area(scale) - 224.0**2) for scale in boxes])
        scale = tf.argmin(away, axis=0, output_type=tf.int32)
        strides = list(self.backbone_info.strides) * len(features)
        pooled = self.roi_pooling.pool(features, boxes, tf.repeat(tf.range(batch), count), scale, strides)
        return tf.reshape(pooled, [batch, count, *pooled.shape[1:]])

    @property
    def has_one_size(self):
        return self.canvas or bool(self.arguments.get("pyramid_sides"))

    def check_pyramid(self):
        """Raise a readable error if the model cannot use an image pyramid."""
        if self.arguments["pyramid_sides"] and (self.canvas or self.backbone_info.pyramid):
            raise ValueError("An image pyramid needs a backbone of one feature map and canvas=False.")

    def further_inputs(self, image, proposals):
        return (tf.constant(checked_proposals(image, proposals)[None]),)
