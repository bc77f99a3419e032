"""MobileNetV3-Large as in torchvision."""

import keras
import tensorflow as tf

from keras_frcnn.backbones.torchvision_common import batch_norm, convolution


def hard_swish_for_inference(x):
    """`hard_swish` in operations that TensorFlow fuses into the preceding convolution."""
    return x * (tf.nn.relu6(x + 3.0) / 6.0)


@keras.saving.register_keras_serializable("keras_frcnn")
@tf.custom_gradient
def hard_swish(x):
    """x · relu6(x + 3) / 6 (Searching for MobileNetV3, section 5.2), in any float dtype.

    The custom gradient keeps only x; gradients of the separate operations would keep four maps of its size.
    """

    def gradient(upstream):
        slope = tf.where(tf.abs(x) < 3.0, x / 3.0 + 0.5, tf.cast(x > 0.0, x.dtype))
        return upstream * slope

    return hard_swish_for_inference(x), gradient


@keras.saving.register_keras_serializable("keras_frcnn")
class PixelConvolution(keras.layers.Conv2D):
    """A 1 × 1 convolution of maps `[B, 1, 1, C]` as a matrix product, which is ten times as fast."""

    def convolution_op(self, inputs, kernel):
        product = keras.ops.matmul(inputs[:, 0, 0], keras.ops.reshape(kernel, kernel.shape[2:]))
        return product[:, None, None]


# Kernel, inner width, output width, squeeze-and-excitation, activation, stride (table 1 of the paper).
BLOCKS = (
    (3, 16, 16, False, "relu", 1),
    (3, 64, 24, False, "relu", 2),
    (3, 72, 24, False, "relu", 1),
    (5, 72, 40, True, "relu", 2),
    (5, 120, 40, True, "relu", 1),
    (5, 120, 40, True, "relu", 1),
    (3, 240, 80, False, hard_swish, 2),
    (3, 200, 80, False, hard_swish, 1),
    (3, 184, 80, False, hard_swish, 1),
    (3, 184, 80, False, hard_swish, 1),
    (3, 480, 112, True, hard_swish, 1),
    (3, 672, 112, True, hard_swish, 1),
    (5, 672, 160, True, hard_swish, 2),
    (5, 960, 160, True, hard_swish, 1),
    (5, 960, 160, True, hard_swish, 1),
)
# torchvision's stages begin at the first convolution, at each strided block and at the last convolution.
STAGE_STARTS = (0, 2, 4, 7, 13, 16)


def mobilenet_v3_large_body(images):
    """Build the convolutions of MobileNetV3-Large, with layers named as in torchvision.

    Args:
        images: symbolic `[B, H, W, 3]`.

    Returns:
        list of 17 maps `[B, H / s, W / s, C]`, one after each module.
    """
    maps = [_normed(images, 16, 3, 2, "features.0", hard_swish)]
    for index, block in enumerate(BLOCKS, start=1):
        maps.append(_inverted_residual(maps[-1], *block, f"features.{index}.block"))
    maps.append(_normed(maps[-1], 960, 1, 1, "features.16", hard_swish))
    return maps


def _normed(x, filters, size, strides, name, activation=None, depthwise=False):
    x = batch_norm(convolution(x, filters, size, strides, f"{name}.0", depthwise), f"{name}.1")
    return keras.layers.Activation(activation, name=f"{name}.2")(x) if activation else x


def _inverted_residual(x, size, width, filters, squeeze, activation, strides, name):
    entry, index = x, 0
    if width != x.shape[-1]:
        x = _normed(x, width, 1, 1, f"{name}.{index}", activation)
        index += 1
    x = _normed(x, width, size, strides, f"{name}.{index}", activation, depthwise=True)
    if squeeze:
        index += 1
        x = _squeeze_and_excite(x, f"{name}.{index}")
    x = _normed(x, filters, 1, 1, f"{name}.{index + 1}")
    if strides == 1 and filters == entry.shape[-1]:
        x = keras.layers.Add(name=f"{name}.add")([entry, x])
    return x


def _squeeze_and_excite(x, name):
    width = x.shape[-1]
    # Average by rows: a single float32 sum over a large map, as in GlobalAveragePooling2D, loses two digits.
    scale = keras.ops.mean(keras.ops.mean(x, axis=2, keepdims=True), axis=1, keepdims=True)
    scale = PixelConvolution(_narrow(width), 1, activation="relu", name=f"{name}.fc1")(scale)
    scale = PixelConvolution(width, 1, activation="hard_sigmoid", name=f"{name}.fc2")(scale)
    return keras.layers.Multiply(name=f"{name}.scale")([x, scale])


def _narrow(width):
    """A quarter of a width, rounded to the nearest multiple of 8, but at most a tenth down."""
    nearest = max(8, int(width / 4 + 4) // 8 * 8)
    return nearest if nearest >= 0.9 * width / 4 else nearest + 8
