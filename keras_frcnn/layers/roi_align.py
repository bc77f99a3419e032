"""RoIAlign."""

import keras

from keras_frcnn.layers.bilinear_roi_layer import BilinearRoILayer
from keras_frcnn.ops.bilinear_reads import bilinear_reads


@keras.saving.register_keras_serializable("keras_frcnn")
class RoIAlign(BilinearRoILayer):
    """RoIAlign (Mask R-CNN, section 3): the mean of S × S bilinear samples in each of P × P bins.

    Arguments, call arguments and returns are those of `BilinearRoILayer`. `aligned=True` is detectron2's
    ROIAlignV2; torchvision's Faster R-CNN was trained with `aligned=False`.

    Example:
        >>> align = RoIAlign(pool_size=2, strides=(1,))
        >>> ramp = tf.reshape(tf.range(25.0), [1, 5, 5, 1])
        >>> align(ramp, tf.constant([[[1.0, 1, 3, 3]]]))[0, 0, :, :, 0].numpy().tolist()
        [[6.0, 7.0], [11.0, 12.0]]
    """

    def bins(self, features, y, x, image, level):
        return bilinear_reads(features, y, x, image, level, self.samples)
