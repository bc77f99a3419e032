"""Convolutions that pad all sides equally, as PyTorch does; "same" pads strided ones more at the end.

The classes keep Keras's class names, because files derive the keys of weights from them. Kernels are odd.
"""

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable("keras_frcnn")
class Conv2D(keras.layers.Conv2D):
    """`keras.layers.Conv2D` with "same" padding equal on all sides; for square kernels with an odd side."""

    def convolution_op(self, inputs, kernel):
        return tf.nn.conv2d(inputs, kernel, self.strides, padding(self))


@keras.saving.register_keras_serializable("keras_frcnn")
class DepthwiseConv2D(keras.layers.DepthwiseConv2D):
    """`keras.layers.DepthwiseConv2D` with "same" padding equal on all sides; without an activation."""

    def call(self, inputs):
        # Not with explicit padding: where oneDNN is on, TensorFlow 2.21 fuses the bias into the convolution,
        # forgets the padding and aborts the process.
        padded = tf.pad(inputs, padding(self))
        outputs = tf.nn.depthwise_conv2d(padded, self.kernel, [1, *self.strides, 1], "VALID")
        return tf.nn.bias_add(outputs, self.bias) if self.use_bias else outputs


def padding(layer):
    """Zero padding of half a kernel on each side, in the format of `tf.nn.conv2d`."""
    sides = [[size // 2, size // 2] for size in layer.kernel_size]
    return [[0, 0], *sides, [0, 0]]
