"""What RoIPooling and RoIAlign share: bilinear samples in each RoI, over one map or a pyramid.

Letters: B images, R RoIs an image, N = B·R, L levels, P bins a side, S samples a bin and side, C channels.
"""

import math

import keras
import tensorflow as tf


class RoISampling(keras.layers.Layer):
    """Base of the RoI layers: sample P·S × P·S points in each RoI; a subclass reduces S × S points to a bin.

    Args:
        pool_size: P, bins along each side of the output.
        strides: pixels between the cells of each level; one for a single map.
        samples: S, bilinear samples along each side of a bin.
        aligned: whether continuous coordinates are shifted by half a cell, so that a sample at the middle of
            a cell reads that cell alone. False repeats the shifted grid of torchvision's Faster R-CNN.
        canonical_size: √area of the RoI that belongs to `canonical_level`, pixels.
        canonical_level: log2 of the stride of that level; 4 is stride 16 (FPN paper, equation 1).

    Call arguments:
        features: tensor `[B, H, W, C]` or list of L such, fine to coarse.
        boxes: float32 `[B, R, 4]`, pixels. No gradient reaches them.

    Returns:
        `[B, R, P, P, C]` in the compute dtype.
    """

    def __init__(
        self,
        pool_size=7,
        strides=(16,),
        samples=2,
        aligned=True,
        canonical_size=224.0,
        canonical_level=4,
        **kwargs,
    ):
        super().__init__(autocast=False, **kwargs)
        self.pool_size = int(pool_size)
        self.strides = list(strides)
        self.samples = int(samples)
        self.aligned = bool(aligned)
        self.canonical_size = float(canonical_size)
        self.canonical_level = int(canonical_level)
        self.built = True
        self.supports_jit = False  # crop_and_resize has no XLA kernel

    def reduce(self, samples):
        """Reduce `[N, P·S, P·S, C]` samples to `[N, P, P, C]` bins."""
        raise NotImplementedError

    def call(self, features, boxes):
        features = features if isinstance(features, (list, tuple)) else [features]
        if len(features) != len(self.strides):
            raise ValueError(
                f"{self.name} has {len(self.strides)} strides and got {len(features)} feature maps."
            )
        boxes = tf.stop_gradient(tf.cast(boxes, tf.float32))
        batch, count = tf.shape(boxes)[0], tf.shape(boxes)[1]
        image = tf.repeat(tf.range(batch), count)
        boxes = tf.reshape(boxes, [-1, 4])
        if len(features) == 1:
            pooled = self.reduce(self._sample(features[0], boxes, image, self.strides[0]))
        else:
            pooled = self._pool_levels(features, boxes, image)
        shape = [batch, count, self.pool_size, self.pool_size, features[0].shape[-1]]
        return tf.reshape(tf.cast(pooled, self.compute_dtype), shape)

    def levels(self, boxes):
        """The level of each box by the √area / 224 rule.

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

    def _pool_levels(self, features, boxes, image):
        level = self.levels(boxes)
        rows = [tf.where(level == index)[:, 0] for index in range(len(features))]
        samples = [
            self._sample(feature, tf.gather(boxes, row), tf.gather(image, row), stride)
            for feature, row, stride in zip(features, rows, self.strides, strict=True)
        ]
        # Joined first: oneDNN aborts the process in the gradient of a max pooling of no RoIs at all.
        pooled = self.reduce(tf.concat(samples, axis=0))
        return tf.gather(pooled, tf.argsort(tf.concat(rows, axis=0)))

    def _sample(self, feature, boxes, image, stride):
        """Bilinear samples at the middles of a P·S × P·S grid.

        A border of repeated cells lets samples within one cell of the map read its edge, as RoIAlign defines
        it; farther out they are 0. crop_and_resize wants the outer samples as fractions of the last index.
        """
        feature = tf.pad(tf.cast(feature, tf.float32), [[0, 0], [1, 1], [1, 1], [0, 0]], mode="SYMMETRIC")
        last = tf.cast(tf.shape(feature)[1:3] - 1, tf.float32)
        grid = self.pool_size * self.samples
        x1, y1, x2, y2 = tf.unstack(boxes / float(stride), axis=-1)
        width, height = x2 - x1, y2 - y1
        if not self.aligned:
            width, height = tf.maximum(width, 1.0), tf.maximum(height, 1.0)
        shift = 0.5 if self.aligned else 1.0  # one cell of border, less half a cell if aligned
        half_x, half_y = 0.5 * width / grid, 0.5 * height / grid
        left, top = x1 + shift + half_x, y1 + shift + half_y
        right, bottom = x1 + shift + width - half_x, y1 + shift + height - half_y
        corners = tf.stack([top / last[0], left / last[1], bottom / last[0], right / last[1]], axis=-1)
        return tf.image.crop_and_resize(feature, corners, image, [grid, grid])

    def compute_output_shape(self, features_shape, boxes_shape):
        first = features_shape[0] if isinstance(features_shape, list) else features_shape
        return (*boxes_shape[:2], self.pool_size, self.pool_size, first[-1])

    def get_config(self):
        return {
            **super().get_config(),
            "pool_size": self.pool_size,
            "strides": self.strides,
            "samples": self.samples,
            "aligned": self.aligned,
            "canonical_size": self.canonical_size,
            "canonical_level": self.canonical_level,
        }
