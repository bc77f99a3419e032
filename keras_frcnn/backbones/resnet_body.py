"""ResNet-50 as in torchvision."""

import keras

from keras_frcnn.backbones.torchvision_common import batch_norm, convolution

# Number of residual blocks in each stage, and their inner width (Deep Residual Learning, table 1).
STAGES = ((3, 64), (4, 128), (6, 256), (3, 512))
EXPANSION = 4


def resnet50_body(images):
    """Build the convolutions of ResNet-50, strided in the 3×3 ("v1.5"), with layers named as in torchvision.

    Args:
        images: symbolic `[B, H, W, 3]`.

    Returns:
        list of the maps C2 to C5, `[B, H / s, W / s, C]` with s = 4, 8, 16, 32 and C = 256, 512, 1024, 2048.
    """
    x = convolution(images, 64, 7, 2, "conv1")
    x = keras.layers.ReLU(name="relu")(batch_norm(x, "bn1"))
    # Padding with zeros equals PyTorch's −∞ here, because no value after a ReLU is below zero.
    x = keras.layers.ZeroPadding2D(1, name="maxpool.pad")(x)
    x = keras.layers.MaxPooling2D(3, 2, name="maxpool")(x)
    maps = []
    for stage, (blocks, width) in enumerate(STAGES, start=1):
        for block in range(blocks):
            x = _bottleneck(x, width, 2 if stage > 1 and block == 0 else 1, f"layer{stage}.{block}")
        maps.append(x)
    return maps


def _bottleneck(x, width, strides, name):
    def normed(x, filters, size, strides, index):
        x = convolution(x, filters, size, strides, f"{name}.conv{index}")
        return batch_norm(x, f"{name}.bn{index}")

    shortcut = x
    if x.shape[-1] != EXPANSION * width:
        shortcut = convolution(x, EXPANSION * width, 1, strides, f"{name}.downsample.0")
        shortcut = batch_norm(shortcut, f"{name}.downsample.1")
    x = keras.layers.ReLU(name=f"{name}.relu1")(normed(x, width, 1, 1, 1))
    x = keras.layers.ReLU(name=f"{name}.relu2")(normed(x, width, 3, strides, 2))
    x = normed(x, EXPANSION * width, 1, 1, 3)
    x = keras.layers.Add(name=f"{name}.add")([x, shortcut])
    return keras.layers.ReLU(name=f"{name}.relu")(x)
