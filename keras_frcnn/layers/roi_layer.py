"""Base of the RoI layers: chooses the feature map of each RoI and joins the pooled RoIs of all maps.

Letters: B images, R RoIs per image, N RoIs, L levels, C channels.
"""

import math

import keras
import tensorflow as tf

from keras_frcnn.ops.maps import as_list, first_shape


class RoILayer(keras.layers.Layer):
    """Base of the RoI layers; a subclass pools RoIs from one map and gives the shape of the result.

    Args:
        strides: pixels between the cells of each level; one for a single map.
        canonical_size: √area of the RoI that belongs to `canonical_level`, pixels.
        canonical_level: log2 of the stride of that level; 4 is stride 16 (FPN paper, equation 1).

    Call arguments:
        features: tensor `[B, H, W, C]` or list of L such tensors, fine to coarse.
        boxes: float32 `[B, R, 4]`, pixels. No gradient reaches them.

    Returns:
        `[B, R, *roi_shape]` in the compute dtype.
    """

    def __init__(self, strides=(16,), canonical_size=224.0, canonical_level=4, **kwargs):
        super().__init__(autocast=False, **kwargs)
        self.strides = list(strides)
        self.canonical_size = float(canonical_size)
        self.canonical_level = int(canonical_level)
        self.built = True

    def build(self, features_shape, boxes_shape):
        """Create nothing; Keras records the shapes for `summary`."""

    def roi_shape(self, channels):
        """Shape of one pooled RoI."""
        raise NotImplementedError

    def call(self, features, boxes):
        features = as_list(features)
        batch, count = tf.shape(boxes)[0], tf.shape(boxes)[1]
        boxes = tf.reshape(tf.cast(boxes, tf.float32), [-1, 4])
        image = tf.repeat(tf.range(batch), count)
        pooled = self.pool(features, [boxes] * len(features), image, self.levels(boxes))
        return tf.reshape(pooled, [batch, count, *self.roi_shape(features[0].shape[-1])])

    def pool(self, features, boxes, image, level, strides=None):
        """Pool each RoI from one map of a feature pyramid or of an image pyramid.

        Args:
            features: list of L maps `[B, H, W, C]`.
            boxes: list of L float32 `[N, 4]`: the same RoIs in the pixels of each map's image.
            image: int32 `[N]`, the image of each RoI.
            level: int32 `[N]`, the map that each RoI is pooled from.
            strides: pixels between the cells of each map; by default those of the layer.

        Returns:
            `[N, *roi_shape]` in the compute dtype.

        Raises:
            ValueError: if the numbers of strides and of maps differ.
        """
        strides = self.strides if strides is None else strides
        if len(features) != len(strides):
            raise ValueError(f"{self.name} has {len(strides)} strides and got {len(features)} feature maps.")
        boxes = [tf.stop_gradient(tf.cast(one, tf.float32)) for one in boxes]
        return tf.cast(self.pool_levels(features, boxes, image, level, strides), self.compute_dtype)

    def pool_levels(self, features, boxes, image, level, strides):
        """Pool each RoI from its own map; arguments as for `pool`; returns any float dtype."""
        raise NotImplementedError

    def levels(self, boxes):
        """Choose the level of each box by the √area / 224 rule.

        Args:
            boxes: float32 `[..., 4]`, pixels.

        Returns:
            int32 `[...]`, index into `strides`.
        """
        size = tf.maximum(boxes[..., 2:] - boxes[..., :2], 0.0)
        scale = tf.sqrt(size[..., 0] * size[..., 1]) / self.canonical_size
        # The small constant keeps an RoI of exactly the canonical size on its own level, and log2(0) finite.
        level = tf.floor(self.canonical_level + tf.math.log(scale + 1e-6) / math.log(2.0))
        finest = round(math.log2(self.strides[0]))
        return tf.clip_by_value(tf.cast(level, tf.int32) - finest, 0, len(self.strides) - 1)

    def compute_output_shape(self, features_shape, boxes_shape):
        return (*boxes_shape[:2], *self.roi_shape(first_shape(features_shape)[-1]))

    def get_config(self):
        return {
            **super().get_config(),
            "strides": self.strides,
            "canonical_size": self.canonical_size,
            "canonical_level": self.canonical_level,
        }
