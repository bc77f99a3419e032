"""What detectors share whose proposals come from outside: Fast R-CNN, SPPnet, R-CNN.

Letters: B images, P proposals, L levels of an image pyramid.
"""

import numpy as np
import tensorflow as tf

from keras_frcnn import boxes as box_ops
from keras_frcnn.models import batches
from keras_frcnn.models.region_classification import RegionClassification
from keras_frcnn.sampling import recall


class ExternalProposals(RegionClassification):
    """Mixin of a `Detector` whose batches and answers need proposals: `x["proposals"]` float32 `[B, P, 4]`,
    pixels, padded with −1.

    The recipe may have `pyramid_sides` and `pyramid_limit`, an image pyramid at test.
    """

    needs_proposals = True

    def infer(self, x, training=False):
        features = self.features(x["images"], x["image_shapes"], training)
        pooled = self.pool(features, x["proposals"], training)
        return self.classify(pooled, x["proposals"], is_box(x["proposals"]), x["image_shapes"], training)

    def training_losses(self, x, y, training):
        x = self.unpack(x)
        features = self.features(x["images"], x["image_shapes"], training)
        proposals, proposed = x["proposals"], is_box(x["proposals"])
        losses = self.head_losses(features, proposals, proposed, y, training)
        return losses, {"proposal_recall": recall(proposals, proposed, y)}

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
        """Resize images of one shape, detect, and answer in their own pixels; runs in a graph.

        Args:
            images: `[B, H, W, 3]`, RGB, uint8 or float 0–255.
            image_size: int32 `[2]` in place of the model's own.
            proposals: float32 `[B, P, 4]`, pixels of these images, padded with −1.

        Returns:
            dict as from `call`.
        """
        pooled = self.pool_regions(images, image_size, proposals)
        originals = tf.tile(tf.shape(images)[None, 1:3], [tf.shape(images)[0], 1])
        # Deltas are relative to the proposal, so that they hold in the pixels of the original too.
        return self.classify(pooled, proposals, is_box(proposals), originals)

    def pool_regions(self, images, image_size, proposals):
        """What the head sees of proposals; arguments as of `detect_batch`.

        Returns:
            `[B, P, …]`.
        """
        if self.recipe.get("pyramid_sides"):
            return self._pool_from_pyramid(images, proposals)
        x, originals = self.prepare_batch(images, image_size)
        rois = box_ops.rescale(proposals, originals, x["image_shapes"])
        rois = tf.where(is_box(proposals)[..., None], rois, -1.0)
        return self.pool(self.features(x["images"], x["image_shapes"], False), rois)

    def _pool_from_pyramid(self, images, proposals):
        """Pool each RoI from the scale where its area is nearest to 224² (Fast R-CNN, section 5.2)."""
        batch, count = tf.shape(proposals)[0], tf.shape(proposals)[1]
        features, boxes = [], []
        for side in self.recipe["pyramid_sides"]:
            x, originals = self.prepare_batch(images, (side, self.recipe["pyramid_limit"]))
            features += self.features(x["images"], x["image_shapes"], False)
            scaled = box_ops.rescale(proposals, originals, x["image_shapes"])
            boxes.append(tf.reshape(scaled, [-1, 4]))
        away = tf.stack([tf.abs(box_ops.area(level) - 224.0**2) for level in boxes])
        level = tf.argmin(away, axis=0, output_type=tf.int32)
        strides = list(self.backbone_parts.strides) * len(features)
        pooled = self.roi_pooling.pool(features, boxes, tf.repeat(tf.range(batch), count), level, strides)
        return tf.reshape(pooled, [batch, count, *pooled.shape[1:]])

    @property
    def has_one_size(self):
        return self.canvas or bool(self.recipe.get("pyramid_sides"))

    def check_pyramid(self, parts, recipe):
        """Refuse an image pyramid where there cannot be one."""
        if recipe.pyramid_sides and (recipe.canvas or parts.pyramid):
            raise ValueError("An image pyramid needs a backbone of one feature map and canvas=False.")

    def further_inputs(self, image, proposals):
        return (tf.constant(checked_proposals(image, proposals)[None]),)


def checked_proposals(image, proposals):
    """Proposals `[P, 4]` float32 of an image `[H, W, 3]`: those given, or else those of selective search.

    Raises:
        ValueError: they are no `[P, 4]`.
    """
    if proposals is None:
        from keras_frcnn.data.selective_search import selective_search  # OpenCV, which few models need

        proposals = selective_search(image)
    proposals = np.asarray(proposals, np.float32)
    if proposals.ndim != 2 or proposals.shape[1] != 4:
        raise ValueError(f"proposals must be [P, 4] xyxy pixels of the image, not {proposals.shape}.")
    return proposals


def is_box(proposals):
    """Which rows `[..., 4]` are boxes with an area, and not padding."""
    return (proposals[..., 2] > proposals[..., 0]) & (proposals[..., 3] > proposals[..., 1])
