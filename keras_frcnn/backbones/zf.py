"""The network of Zeiler and Fergus, the smaller one in Faster R-CNN."""

from pathlib import Path

import keras
import tensorflow as tf

from keras_frcnn.backbones import symmetric_convolutions
from keras_frcnn.backbones.backbone import Backbone, load_file


@keras.saving.register_keras_serializable("keras_frcnn")
class LocalResponseNormalization(keras.layers.Layer):
    """Normalize each value by the strength of its neighborhood in the same channel, in float32.

    y = x · (1 + alpha · m)^−beta, where m is the mean of x² in a square around x, with zeros outside the map.
    This is Caffe's LRN with `norm_region: WITHIN_CHANNEL`; `tf.nn.local_response_normalization` sums over
    channels.

    Args:
        size: odd side of the square, cells.
        alpha, beta: see above.

    Call arguments:
        features: `[B, H, W, C]`.

    Returns:
        `[B, H, W, C]` in the compute dtype.
    """

    def __init__(self, size=3, alpha=5e-5, beta=0.75, **kwargs):
        super().__init__(autocast=False, **kwargs)
        self.size = int(size)
        self.alpha = float(alpha)
        self.beta = float(beta)
        self.built = True

    def call(self, features):
        features = tf.cast(features, tf.float32)
        # Pad explicitly: "SAME" would leave the zeros out of the mean.
        around = [[0, 0], [self.size // 2] * 2, [self.size // 2] * 2, [0, 0]]
        mean = tf.nn.avg_pool2d(tf.pad(tf.square(features), around), self.size, 1, "VALID")
        return tf.cast(features * (1.0 + self.alpha * mean) ** -self.beta, self.compute_dtype)

    def compute_output_shape(self, features_shape):
        return features_shape

    def get_config(self):
        return {**super().get_config(), "size": self.size, "alpha": self.alpha, "beta": self.beta}


def zf(weights="none"):
    """The five convolutions of the Zeiler–Fergus network, stride 16 (Faster R-CNN, section 3).

    The network matches `models/pascal_voc/ZF` of py-faster-rcnn, except for the last row and column of its
    map, which Caffe's rounding up places outside the image.

    Args:
        weights: "none" or a weights file saved from this network.

    Raises:
        ValueError: "imagenet" is requested; Keras has no such weights.
    """
    if weights == "imagenet":
        raise ValueError(
            "zf has no ImageNet weights to download; use backbone_weights='none' (--backbone-weights none), "
            "a .weights.h5 file saved from this network, or a backbone such as vgg16."
        )
    images = keras.Input((None, None, 3), name="images")
    x = _convolution(images, 1, 96, 7, strides=2)
    x = _normalize_and_halve(x, 1)
    x = _convolution(x, 2, 256, 5, strides=2)
    x = _normalize_and_halve(x, 2)
    x = _convolution(x, 3, 384, 3)
    x = _convolution(x, 4, 384, 3)
    x = _convolution(x, 5, 256, 3)
    network = keras.Model(images, [x], name="zf")
    if weights != "none":
        load_file(network, "zf", weights)
    return Backbone(
        network=network,
        strides=(16,),
        pooled_levels=1,
        anchor_sizes=((128, 256, 512),),
        preprocessing="caffe",
        stages=tuple(
            tuple(layer.name for layer in network.layers if layer.name.startswith(f"stage{stage}_"))
            for stage in range(1, 6)
        ),
        # Unlike VGG16, this network is fine-tuned from conv1 on.
        defaults={
            "frozen_stages": 0,
            "rpn_channels": 256,
            "pool_size": 6,
            "pool_offset": 1 / 32,  # ⌊p/2⌋ pixels of padding center the first cell on the first pixel
            "head_units": (4096, 4096),
            "head_dropout": 0.5,
        },
        source=Path(weights).name,
    )


def _convolution(x, stage, filters, size, strides=1):
    # Pad all sides equally: Keras's "same" would shift the cells of a strided layer relative to Caffe's.
    return symmetric_convolutions.Conv2D(
        filters,
        size,
        strides,
        padding="same",
        activation="relu",
        kernel_initializer="he_normal",
        name=f"stage{stage}_conv",
    )(x)


def _normalize_and_halve(x, stage):
    x = LocalResponseNormalization(name=f"stage{stage}_norm")(x)
    x = keras.layers.ZeroPadding2D(1, name=f"stage{stage}_pool_pad")(x)
    return keras.layers.MaxPooling2D(3, 2, name=f"stage{stage}_pool")(x)
