"""The head of Fast R-CNN: what is in an RoI, and where exactly.

Letters: B images, R RoIs an image, P bins a side, C channels, K classes.
"""

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable("keras_frcnn")
class DetectionHead(keras.layers.Layer):
    """Two fully connected layers, then sibling layers for classes and boxes (Fast R-CNN, section 2.1).

    Args:
        num_classes: K, without background.
        units: widths of the fully connected layers; (4096, 4096) with VGG16, (1024, 1024) with FPN.
        dropout: rate after each of them; 0.5 with VGG16, 0 otherwise.
        network: a `keras.Model` `[N, P, P, C]` → `[N, …, D]` in place of the fully connected layers, such as
            the conv5 stage of a ResNet; what it gives is averaged over space.
        class_agnostic: one box an RoI instead of one for each class.

    Call arguments:
        pooled: `[B, R, P, P, C]`.
        training: bool, for dropout.

    Returns:
        class logits float32 `[B, R, K + 1]`, background first; deltas float32 `[B, R, K, 4]`
        or `[B, R, 1, 4]`.
    """

    def __init__(
        self, num_classes, units=(1024, 1024), dropout=0.0, network=None, class_agnostic=False, **kwargs
    ):
        super().__init__(autocast=False, **kwargs)
        if isinstance(network, dict):
            network = keras.saving.deserialize_keras_object(network)
        self.num_classes = int(num_classes)
        self.units = tuple(units)
        self.dropout = float(dropout)
        self.network = network
        self.class_agnostic = bool(class_agnostic)
        self.dense = []
        if network is None:
            self.dense = [
                keras.layers.Dense(width, activation="relu", dtype=self.dtype_policy, name=f"fc{index}")
                for index, width in enumerate(self.units, start=6)
            ]
        self.drop = keras.layers.Dropout(self.dropout, dtype=self.dtype_policy, name="dropout")
        self.box_count = 1 if class_agnostic else self.num_classes
        self.class_dense = self._predictor(self.num_classes + 1, 0.01, "class_predictor")
        self.box_dense = self._predictor(4 * self.box_count, 0.001, "box_predictor")

    def _predictor(self, units, stddev, name):
        return keras.layers.Dense(
            units,
            kernel_initializer=keras.initializers.RandomNormal(stddev=stddev),
            dtype=self.dtype_policy,
            name=name,
        )

    def build(self, pooled_shape):
        _, _, height, width, channels = pooled_shape
        if self.network is None:
            features = height * width * channels
            for layer in self.dense:
                layer.build((None, features))
                features = layer.units
        else:
            features = self.network.output_shape[-1]
        self.drop.build((None, features))
        self.class_dense.build((None, features))
        self.box_dense.build((None, features))

    def call(self, pooled, training=False):
        batch, count = tf.shape(pooled)[0], tf.shape(pooled)[1]
        features = self._features(tf.reshape(pooled, [batch * count, *pooled.shape[2:]]), training)
        logits = tf.cast(self.class_dense(features), tf.float32)
        deltas = tf.cast(self.box_dense(features), tf.float32)
        return (
            tf.reshape(logits, [batch, count, self.num_classes + 1]),
            tf.reshape(deltas, [batch, count, self.box_count, 4]),
        )

    def _features(self, rois, training):
        if self.network is not None:
            features = self.network(rois, training=training)
            axes = list(range(1, features.shape.rank - 1))
            return tf.reduce_mean(features, axis=axes) if axes else features
        features = tf.reshape(rois, [-1, rois.shape[1] * rois.shape[2] * rois.shape[3]])
        for layer in self.dense:
            features = self.drop(layer(features), training=training)
        return features

    def compute_output_shape(self, pooled_shape):
        leading = tuple(pooled_shape[:2])
        return (*leading, self.num_classes + 1), (*leading, self.box_count, 4)

    def compute_output_spec(self, pooled, training=False):
        # Float32 whatever the policy, which Keras would not guess.
        return tuple(keras.KerasTensor(shape, "float32") for shape in self.compute_output_shape(pooled.shape))

    def get_config(self):
        network = self.network and keras.saving.serialize_keras_object(self.network)
        return {
            **super().get_config(),
            "num_classes": self.num_classes,
            "units": self.units,
            "dropout": self.dropout,
            "network": network,
            "class_agnostic": self.class_agnostic,
        }
