"""Base of RoIPooling and RoIAlign: bilinear samples in each RoI.

Letters: B images, R RoIs per image, N RoIs, P bins per side, S samples per side of a bin, C channels.
"""

import tensorflow as tf

from keras_frcnn.layers.roi_layer import RoILayer


class BilinearRoILayer(RoILayer):
    """Sample P·S × P·S points in each RoI; a subclass reduces S × S points to a bin.

    Args:
        pool_size: P, bins along each side of the output.
        strides: pixels between the cells of each level; one for a single map.
        samples: S, bilinear samples along each side of a bin.
        aligned: whether to shift continuous coordinates by half a cell, so that a sample at the middle of a
            cell reads only that cell. False repeats the shifted grid of torchvision's Faster R-CNN, where
            an RoI is at least one cell wide and high.
        canonical_size, canonical_level: see `RoILayer`.

    Call arguments:
        features: tensor `[B, H, W, C]` or list of such tensors, fine to coarse.
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

    def pool_levels(self, features, boxes, image, level, strides):
        # Pad to at least one RoI: TensorFlow crashes on a sparse matrix without rows, and in the gradient of
        # max pooling without RoIs.
        count = tf.shape(image)[0]
        missing = tf.maximum(1 - count, 0)
        boxes = tf.pad(tf.stack(boxes, axis=1), [[0, missing], [0, 0], [0, 0]])
        image, level = (tf.pad(index, [[0, missing]]) for index in (image, level))
        own = tf.gather(boxes, level, axis=1, batch_dims=1)
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
        bins = self.bins(features, y, x, image, level)
        # Use tf.slice: unlike [:], its gradient makes no copy when nothing is cut.
        return tf.slice(bins, [0, 0, 0, 0], [count, *self.roi_shape(features[0].shape[-1])])

    def bins(self, features, y, x, image, level):
        """Reduce S × S samples to a bin.

        Args:
            features, y, x, image, level: see `bilinear_reads`, with P·S rows and columns.

        Returns:
            float32 `[N, P, P, C]`.
        """
        raise NotImplementedError

    def get_config(self):
        return {
            **super().get_config(),
            "pool_size": self.pool_size,
            "samples": self.samples,
            "aligned": self.aligned,
        }
