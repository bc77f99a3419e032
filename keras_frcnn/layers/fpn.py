"""Feature pyramid.

Letters: L levels, C channels.
"""

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable("keras_frcnn")
class FeaturePyramid(keras.layers.Layer):
    """Merge coarse, meaningful maps into fine ones from the top down (Feature Pyramid Networks, section 3).

    Args:
        channels: C of every level of the pyramid; 256 in the paper.
        extra_levels: coarser levels that subsample the last one, for the largest anchors; 1 in the paper.

    Call arguments:
        features: list of L maps `[B, H_l, W_l, C_l]`, fine to coarse, each twice as coarse as the one before.

    Returns:
        list of L + extra_levels maps `[B, H_l, W_l, C]`.
    """

    def __init__(self, channels=256, extra_levels=1, **kwargs):
        super().__init__(**kwargs)
        self.channels = int(channels)
        self.extra_levels = int(extra_levels)

    def build(self, features_shape):
        def conv(kernel_size, name, shape):
            layer = keras.layers.Conv2D(
                self.channels,
                kernel_size,
                padding="same",
                kernel_initializer="he_uniform" if kernel_size == 1 else "glorot_uniform",
                dtype=self.dtype_policy,
                name=name,
            )
            layer.build(shape)
            return layer

        pyramid_shape = (None, None, None, self.channels)
        self.lateral = [conv(1, f"lateral_{index}", shape) for index, shape in enumerate(features_shape)]
        self.output_convs = [
            conv(3, f"output_{index}", pyramid_shape) for index in range(len(features_shape))
        ]

    def call(self, features):
        merged = [lateral(feature) for lateral, feature in zip(self.lateral, features, strict=True)]
        for level in reversed(range(len(merged) - 1)):
            merged[level] = merged[level] + _twice_as_fine(merged[level + 1], tf.shape(merged[level]))
        pyramid = [conv(feature) for conv, feature in zip(self.output_convs, merged, strict=True)]
        for _ in range(self.extra_levels):
            pyramid.append(pyramid[-1][:, ::2, ::2])
        return pyramid

    def compute_output_shape(self, features_shape):
        shapes = [(*shape[:-1], self.channels) for shape in features_shape]
        for _ in range(self.extra_levels):
            batch, height, width, channels = shapes[-1]
            shapes.append((batch, height and (height + 1) // 2, width and (width + 1) // 2, channels))
        return shapes

    def get_config(self):
        return {**super().get_config(), "channels": self.channels, "extra_levels": self.extra_levels}


def _twice_as_fine(feature, shape):
    """Repeat every cell 2 × 2 and cut to the finer map; broadcasting has gradients everywhere, XLA too."""
    batch, height, width, channels = tf.unstack(tf.shape(feature))
    feature = feature[:, :, None, :, None, :]
    feature = tf.broadcast_to(feature, [batch, height, 2, width, 2, channels])
    feature = tf.reshape(feature, [batch, 2 * height, 2 * width, channels])
    return feature[:, : shape[1], : shape[2]]
