"""RoI max pooling with quantized bins.

Letters: B images, R RoIs per image, P bins per side, C channels.
"""

import keras

from keras_frcnn.layers.roi_layer import RoILayer
from keras_frcnn.ops.each_level import each_level
from keras_frcnn.ops.quantized_bins import RULES, QuantizedBins, maxima

CORNERS = ("inclusive", "half_open")


@keras.saving.register_keras_serializable("keras_frcnn")
class ExactRoIPooling(RoILayer):
    """RoI max pooling (Fast R-CNN, section 2.1) on bins snapped to cells; each maximum gets the gradient.

    The corners of an RoI are divided by the stride and rounded (halves away from zero). The region is the
    cells from the first corner to the last, at least one. Bins end at the border of the map; a bin without
    cells is 0. Among equal cells, the first one in row-major order gets the gradient.

    Bin edges are computed with integers. Caffe and torchvision use float32; where it misses a whole number
    (7 bins of 57, 114 … cells), one of their bins has an extra cell.

    Args:
        pool_size: P, bins along each side of the output.
        strides: pixels between the cells of each level; one for a single map.
        bins: "overlapping" (Caffe, torchvision): bin i of n cells runs from ⌊i·n/P⌋ to ⌈(i+1)·n/P⌉, so
            neighbors may share cells. "partition" (textbook): bins of ⌊n/P⌋ cells, the remainder in the
            last; in a region narrower than P cells, bin i is the cell ⌊i·n/P⌋, so cells repeat.
        corners: "inclusive" (Caffe, chainer, torchvision): the cell of the last corner belongs to the region;
            "half_open": it does not, as for boxes in this package.
        canonical_size, canonical_level: see `RoILayer`.

    Call arguments:
        features: tensor `[B, H, W, C]` or list of such tensors, fine to coarse.
        boxes: float32 `[B, R, 4]`, pixels. No gradient reaches them.

    Returns:
        `[B, R, P, P, C]` in the compute dtype.

    Raises:
        ValueError: if `bins` or `corners` is unknown.

    Example:
        >>> pool = ExactRoIPooling(pool_size=2, strides=(1,))
        >>> ramp = tf.reshape(tf.range(25.0), [1, 5, 5, 1])
        >>> pool(ramp, tf.constant([[[0.0, 0, 2, 2]]]))[0, 0, :, :, 0].numpy().tolist()
        [[6.0, 7.0], [11.0, 12.0]]
    """

    def __init__(
        self,
        pool_size=7,
        strides=(16,),
        bins="overlapping",
        canonical_size=224.0,
        canonical_level=4,
        corners="inclusive",
        **kwargs,
    ):
        super().__init__(strides, canonical_size, canonical_level, **kwargs)
        if bins not in RULES:
            raise ValueError(f"Unknown bins {bins!r}; use 'overlapping' or 'partition'.")
        if corners not in CORNERS:
            raise ValueError(f"Unknown corners {corners!r}; use 'inclusive' or 'half_open'.")
        self.pool_size = int(pool_size)
        self.bins = bins
        self.corners = corners

    def roi_shape(self, channels):
        return (self.pool_size, self.pool_size, channels)

    def pool_levels(self, features, boxes, image, level, strides):
        def pool(index, rows):
            arguments = (strides[index], self.pool_size, self.bins, self.corners)
            bins = QuantizedBins(features[index], rows(boxes[index]), rows(image), *arguments)
            return maxima(features[index], bins.largest)

        return each_level(pool, level, len(features))

    def get_config(self):
        return {
            **super().get_config(),
            "pool_size": self.pool_size,
            "bins": self.bins,
            "corners": self.corners,
        }
