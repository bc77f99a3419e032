"""Convolutions that pad all sides alike, as PyTorch does; "same" pads a strided one at the end alone.

The classes keep the names of Keras's, because files have the keys of weights from them. Kernels are odd.
"""

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable("keras_frcnn")
class Conv2D(keras.layers.Conv2D):
    """`keras.layers.Conv2D` with padding "same" on all sides alike; for square kernels of an odd side."""

    def convolution_op(self, inputs, kernel):
        return tf.nn.conv2d(inputs, kernel, self.strides, padding(self))


@keras.saving.register_keras_serializable("keras_frcnn")
class DepthwiseConv2D(keras.layers.DepthwiseConv2D):
    """`keras.layers.DepthwiseConv2D` with padding "same" on all sides alike; without an activation."""

    def call(self, inputs):
        outputs = tf.nn.depthwise_conv2d(inputs, self.kernel, [1, *self.strides, 1], padding(self))
        return tf.nn.bias_add(outputs, self.bias) if self.use_bias else outputs


def padding(layer):
    """Rows and columns of zeros around a map, half a kernel on each side, as `tf.nn.conv2d` takes them."""
    sides = [[size // 2, size // 2] for size in layer.kernel_size]
    return [[0, 0], *sides, [0, 0]]
