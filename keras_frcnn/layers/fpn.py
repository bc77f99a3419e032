"""Feature pyramid.

Letters: L levels, C channels.
"""

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable("keras_frcnn")
class FeaturePyramid(keras.layers.Layer):
    """Merge coarse, semantically strong maps into finer ones, top down (Feature Pyramid Networks, section 3).

    Args:
        channels: C of every level of the pyramid; 256 in the paper.
        extra_levels: coarser levels, subsampled from the last one for the largest anchors; 1 in the paper.
        batch_norm: whether batch normalization follows each convolution, which then has no bias.
        epsilon: epsilon of the batch normalization.

    Call arguments:
        features: list of L maps `[B, H_l, W_l, C_l]`, fine to coarse, each half the size of the one before
            or the same size.
        training: bool, for batch normalization.

    Returns:
        list of L + extra_levels maps `[B, H_l, W_l, C]`.
    """

    def __init__(self, channels=256, extra_levels=1, batch_norm=False, epsilon=1e-5, **kwargs):
        super().__init__(**kwargs)
        self.channels = int(channels)
        self.extra_levels = int(extra_levels)
        self.batch_norm = bool(batch_norm)
        self.epsilon = float(epsilon)
        self.lateral_norms, self.output_norms = [], []

    def build(self, features_shape):
        def conv(kernel_size, name, shape):
            layer = keras.layers.Conv2D(
                self.channels,
                kernel_size,
                padding="same",
                use_bias=not self.batch_norm,
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
        if self.batch_norm:
            self.lateral_norms = [self._norm(f"lateral_norm_{index}") for index in range(len(features_shape))]
            self.output_norms = [self._norm(f"output_norm_{index}") for index in range(len(features_shape))]

    def _norm(self, name):
        norm = keras.layers.BatchNormalization(
            momentum=0.9, epsilon=self.epsilon, dtype=self.dtype_policy, name=name
        )
        norm.build((None, None, None, self.channels))
        return norm

    def call(self, features, training=False):
        merged = _each(self.lateral, self.lateral_norms, features, training)
        for level in reversed(range(len(merged) - 1)):
            merged[level] = merged[level] + _as_fine(merged[level + 1], tf.shape(merged[level]))
        pyramid = _each(self.output_convs, self.output_norms, merged, training)
        for _ in range(self.extra_levels):
            pyramid.append(pyramid[-1][:, ::2, ::2])
        return pyramid

    @property
    def norms(self):
        """The batch normalization layers."""
        return [*self.lateral_norms, *self.output_norms]

    def compute_output_shape(self, features_shape):
        shapes = [(*shape[:-1], self.channels) for shape in features_shape]
        for _ in range(self.extra_levels):
            batch, height, width, channels = shapes[-1]
            shapes.append((batch, height and (height + 1) // 2, width and (width + 1) // 2, channels))
        return shapes

    def get_config(self):
        return {
            **super().get_config(),
            "channels": self.channels,
            "extra_levels": self.extra_levels,
            "batch_norm": self.batch_norm,
            "epsilon": self.epsilon,
        }


def _each(convs, norms, features, training):
    """Apply to each map its convolution and, if there is one, its normalization."""
    features = [conv(feature) for conv, feature in zip(convs, features, strict=True)]
    if not norms:
        return features
    return [norm(feature, training=training) for norm, feature in zip(norms, features, strict=True)]


def _as_fine(feature, shape):
    """Upsample a map to at least `shape` by repeating cells, and crop it to the finer map.

    Broadcasting has a gradient everywhere, also under XLA. Maps of one size stay as they are.
    """
    batch, height, width, channels = tf.unstack(tf.shape(feature))
    rows, columns = -(-shape[1] // height), -(-shape[2] // width)
    # Repeat one axis at a time, as the middle of three, so that the gradient sums without a transpose.
    feature = tf.reshape(feature, [batch * height, 1, width * channels])
    feature = tf.broadcast_to(feature, [batch * height, rows, width * channels])
    feature = tf.reshape(feature, [batch * height * rows * width, 1, channels])
    feature = tf.broadcast_to(feature, [batch * height * rows * width, columns, channels])
    feature = tf.reshape(feature, [batch, rows * height, columns * width, channels])
    # Use tf.slice: unlike [:], its gradient makes no copy when nothing is cut.
    return tf.slice(feature, [0, 0, 0, 0], [batch, shape[1], shape[2], channels])
