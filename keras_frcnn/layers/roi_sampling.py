"""What RoIPooling and RoIAlign share: bilinear samples in each RoI.

Letters: B images, R RoIs an image, N RoIs, P bins a side, S samples a bin and side, C channels.
"""

import os
import tensorflow as tf
SLICE=int(os.environ.get("SLICE","64"))

from keras_frcnn.layers.bilinear_reads import bilinear_reads
from keras_frcnn.layers.roi_layer import RoILayer


class RoISampling(RoILayer):
    """Base: sample P·S × P·S points in each RoI; a subclass reduces S × S points to a bin.

    Args:
        pool_size: P, bins along each side of the output.
        strides: pixels between the cells of each level; one for a single map.
        samples: S, bilinear samples along each side of a bin.
        aligned: whether continuous coordinates are shifted by half a cell, so that a sample at the middle of
            a cell reads that cell alone. False repeats the shifted grid of torchvision's Faster R-CNN.
        canonical_size, canonical_level: see `RoILayer`.

    Call arguments:
        features: tensor `[B, H, W, C]` or list of such, fine to coarse.
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
        super().__init__(strides, canonical_size, canonical_level, **kwargs)
        self.pool_size = int(pool_size)
        self.samples = int(samples)
        self.aligned = bool(aligned)

    def roi_shape(self, channels):
        return (self.pool_size, self.pool_size, channels)

    def gather(self, feature, boxes, image, stride):
        """Bilinear samples at the middles of a P·S × P·S grid: float32 `[N, P·S, P·S, C]`.

        A border of repeated cells lets samples within one cell of the map read its edge, as RoIAlign defines
        it; farther out they are 0. crop_and_resize wants the outer samples as fractions of the last index.
        """
        feature = _with_border(tf.cast(feature, tf.float32))
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

    def gather_static(self, features, boxes, image, level, strides):
        """The same samples by plain reads of all maps together, so that no RoI moves to its level."""
        own = tf.gather(tf.stack(boxes, axis=1), level, axis=1, batch_dims=1)
        stride = tf.gather(tf.constant(strides, tf.float32), level)
        x1, y1, x2, y2 = tf.unstack(own / stride[:, None], axis=-1)
        width, height = x2 - x1, y2 - y1
        if not self.aligned:
            width, height = tf.maximum(width, 1.0), tf.maximum(height, 1.0)
        grid = self.pool_size * self.samples
        middles = (tf.range(grid, dtype=tf.float32) + 0.5) / grid
        shift = 0.5 if self.aligned else 0.0
        x = x1[:, None] + width[:, None] * middles - shift
        y = y1[:, None] + height[:, None] * middles - shift
        return bilinear_reads(features, y, x, image, level)

    def pool_levels(self, features, boxes, image, level, strides):
        def pool(features):
            return super(RoISampling, self).pool_levels(features, boxes, image, level, strides)

        return _in_slices(pool, features, SLICE)

    def reduce(self, samples):
        """Reduce `[N, P·S, P·S, C]` samples to `[N, P, P, C]` bins."""
        raise NotImplementedError

    def get_config(self):
        return {
            **super().get_config(),
            "pool_size": self.pool_size,
            "samples": self.samples,
            "aligned": self.aligned,
        }


@tf.custom_gradient
def _with_border(feature):
    """Repeat the outer cells of `[B, H, W, C]`; TensorFlow's own gradient of that takes many times longer."""

    def gradient(upstream):
        return _without_border(_without_border(upstream, 1), 2)

    return tf.pad(feature, [[0, 0], [1, 1], [1, 1], [0, 0]], mode="SYMMETRIC"), gradient


def _without_border(upstream, axis):
    """Add the first and the last slice along an axis to those beside them."""
    size = tf.shape(upstream)[axis]

    def cut(start, stop):
        return upstream[:, start:stop] if axis == 1 else upstream[:, :, start:stop]

    def ends_apart():
        first, last = (tf.reduce_sum(cut(*end), axis, keepdims=True) for end in ((0, 2), (size - 2, size)))
        return tf.concat([first, cut(2, size - 2), last], axis)

    return tf.cond(size > 3, ends_apart, lambda: tf.reduce_sum(upstream, axis, keepdims=True))


def _in_slices(pool, features, width):
    """Pool slices of the channels one after another, forward and backward, so that only the samples of one exist."""
    starts = range(0, features[0].shape[-1], width)

    @tf.custom_gradient
    def pooled(*features):
        slices, results = [], []
        with tf.GradientTape(persistent=True, watch_accessed_variables=False) as tape:
            for start in starts:
                with tf.control_dependencies(results[-1:]):
                    slices.append([feature[..., start : start + width] for feature in features])
                    tape.watch(slices[-1])
                    results.append(pool(slices[-1]))

        def gradient(upstream):
            gradients = []
            for index, start in enumerate(starts):
                with tf.control_dependencies(gradients[-1] if gradients else []):
                    part = upstream[..., start : start + width]
                    gradients.append(tape.gradient(results[index], slices[index], part))
            return [tf.concat(parts, axis=-1) for parts in zip(*gradients)]

        return tf.concat(results, axis=-1), gradient

    return pooled(*features)
