"""Spatial pyramid pooling.

Letters: B images, R RoIs per image, N RoIs, T bins of all grids, C channels.
"""

import keras
import tensorflow as tf

from keras_frcnn.layers.roi_layer import RoILayer
from keras_frcnn.ops.each_level import each_level
from keras_frcnn.ops.quantized_bins import QuantizedBins, maxima

CORNERS = ("inclusive", "centers")


@keras.saving.register_keras_serializable("keras_frcnn")
class SpatialPyramidPooling(RoILayer):
    """Spatial pyramid pooling of RoIs (SPPnet, sections 2.2 and 4): max pooling on several grids at once.

    Bins and gradient are those of `ExactRoIPooling` with `bins="overlapping"`.

    Args:
        levels: bins along each side of an RoI, one number per grid; the paper's grids have 50 bins in all.
        strides: pixels between the cells of each map; one for a single map.
        canonical_size, canonical_level: see `RoILayer`.
        corners: "inclusive", see `ExactRoIPooling`; or "centers": the region is the cells whose receptive
            fields are centered in it, from ⌊x1/S⌋ + 1 to ⌈x2/S⌉ − 1 with the stride S (SPPnet, appendix A).
            A region without such cells gets a cell nearby, as in the authors' code.
        offset: for "centers": position of the receptive field's center in its cell, as a fraction of the
            stride; 0.5 is the middle. The paper pads so that it is 0, and has an offset for other networks.

    Call arguments:
        features: tensor `[B, H, W, C]` or list of such tensors, fine to coarse.
        boxes: float32 `[B, R, 4]`, pixels. No gradient reaches them.

    Returns:
        `[B, R, T·C]` in the compute dtype, T = 50: the grids in the order of `levels`, each in row-major
        order, the channels of a bin together.

    Raises:
        ValueError: `corners` is unknown, or there is no level.

    Example:
        >>> pool = SpatialPyramidPooling()
        >>> pool(tf.random.normal([1, 20, 20, 8]), tf.constant([[[0.0, 0, 160, 160]]])).shape
        TensorShape([1, 1, 400])
    """

    def __init__(
        self,
        levels=(1, 2, 3, 6),
        strides=(16,),
        canonical_size=224.0,
        canonical_level=4,
        corners="inclusive",
        offset=0.5,
        **kwargs,
    ):
        super().__init__(strides, canonical_size, canonical_level, **kwargs)
        if corners not in CORNERS:
            raise ValueError(f"Unknown corners {corners!r}; use 'inclusive' or 'centers'.")
        if not len(levels):
            raise ValueError("The pooling pyramid has no level; give one or more.")
        self.grids = list(levels)
        self.corners = corners
        self.offset = float(offset)

    def roi_shape(self, channels):
        return (channels and channels * sum(grid * grid for grid in self.grids),)

    def pool_levels(self, features, boxes, image, level, strides):
        def pool(index, rows):
            return self._pool_map(features[index], rows(boxes[index]), rows(image), strides[index])

        return each_level(pool, level, len(features))

    def _pool_map(self, feature, boxes, image, stride):
        """Pool RoIs `[N, 4]` from one map: `[N, *roi_shape]`."""
        channels = feature.shape[-1]

        def search(cells):
            largest = {}
            for grid in sorted(self.grids, reverse=True):
                finer = min((one for one in largest if one % grid == 0), default=None)
                if finer:  # a bin is exactly a block of finer bins
                    side = finer // grid
                    rows = tf.reduce_max(tf.reshape(largest[finer], [-1, side, finer, channels]), axis=1)
                    blocks = tf.reshape(rows, [-1, grid, grid, side, channels])
                    largest[grid] = tf.reduce_max(blocks, axis=3)
                else:
                    bins = QuantizedBins(
                        feature, boxes, image, stride, grid, corners=self.corners, offset=self.offset
                    )
                    largest[grid] = bins.largest(cells)
            flat = [tf.reshape(largest[grid], [-1, grid * grid, channels]) for grid in self.grids]
            return tf.concat(flat, axis=1)

        return tf.reshape(maxima(feature, search), [-1, *self.roi_shape(channels)])

    def get_config(self):
        return {
            **super().get_config(),
            "levels": self.grids,
            "corners": self.corners,
            "offset": self.offset,
        }
