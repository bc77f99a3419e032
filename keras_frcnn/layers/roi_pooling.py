"""RoI max pooling on bilinear samples."""

import keras
import tensorflow as tf

from keras_frcnn.layers.bilinear_roi_layer import BilinearRoILayer
from keras_frcnn.ops import kernels
from keras_frcnn.ops.bilinear_reads import bilinear_crops, bilinear_reads
from keras_frcnn.ops.each_level import each_level


@keras.saving.register_keras_serializable("keras_frcnn")
class RoIPooling(BilinearRoILayer):
    """RoI pooling (Fast R-CNN, section 2.1): the largest of S × S bilinear samples in each of P × P bins.

    Bins divide the RoI exactly, without rounding; Caffe's layer snaps them to cells. Arguments, call
    arguments and returns are those of `BilinearRoILayer`.

    Example:
        >>> pool = RoIPooling(pool_size=7, strides=(16,))
        >>> pool(tf.random.normal([1, 20, 20, 8]), tf.constant([[[0.0, 0, 160, 160]]])).shape
        TensorShape([1, 1, 7, 7, 8])
    """

    def bins(self, features, y, x, image, level):
        if kernels.for_xla():
            samples = bilinear_reads(features, y, x, image, level)
        else:
            samples = each_level(
                lambda index, rows: bilinear_crops(features[index], rows(y), rows(x), rows(image)),
                level,
                len(features),
            )
        return tf.nn.max_pool2d(samples, self.samples, self.samples, "VALID")
