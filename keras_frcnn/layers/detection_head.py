"""The head of Fast R-CNN, which classifies RoIs and refines their boxes.

Letters: B images, R RoIs per image, P bins per side, C channels, K classes.
"""

import itertools
import math
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_frcnn.layers.normalized_dense import NormalizedDense


@keras.saving.register_keras_serializable("keras_frcnn")
class DetectionHead(keras.layers.Layer):
    """Fully connected layers, then sibling layers for classes and boxes (Fast R-CNN, section 2).

    Args:
        num_classes: K, without background.
        units: widths of the fully connected layers; (4096, 4096) with VGG16, (1024, 1024) with FPN.
        dropout: dropout rate after each of them; 0.5 with VGG16, 0 otherwise.
        network: a `keras.Model` `[N, P, P, C]` → `[N, …, D]` that replaces the fully connected layers, for
            example the conv5 stage of a ResNet; its output is averaged over space.
        class_agnostic: whether to predict one box per RoI instead of one per class.
        ranks: rank of each fully connected layer that is split into two factors (truncated SVD, section 3.1);
            None or 0 for a layer that stays whole. By default all do.
        normalized: whether deltas are normalized by their mean and standard deviation in each class, which
            `normalize_boxes` sets and files hold folded into the weights; only in Fast R-CNN.
        boxes_from: input of the box layer: "dense", the features that the classes use; or "pooled", the input
            of the first fully connected layer, as in R-CNN and SPPnet.
        convs: widths of 3×3 convolutions before the fully connected layers; (256, 256, 256, 256) in
            torchvision's v2, none in the papers.
        batch_norm, epsilon: whether batch normalization, with this epsilon, follows each convolution.
        background_box: whether the box layer also has outputs for the background, which are never read;
            Caffe's and torchvision's do.

    Call arguments:
        pooled: `[B, R, P, P, C]`, or any `[B, R, …]`, which is flattened.
        training: bool, for dropout.

    Returns:
        class logits float32 `[B, R, K + 1]`, background first; deltas float32 `[B, R, K, 4]`
        or `[B, R, 1, 4]`.
    """

    def __init__(
        self,
        num_classes,
        units=(1024, 1024),
        dropout=0.0,
        network=None,
        class_agnostic=False,
        ranks=None,
        normalized=False,
        boxes_from="dense",
        convs=(),
        batch_norm=True,
        epsilon=1e-5,
        background_box=False,
        **kwargs,
    ):
        super().__init__(autocast=False, **kwargs)
        if isinstance(network, dict):
            network = keras.saving.deserialize_keras_object(network)
        self.num_classes = int(num_classes)
        self.units = tuple(units)
        self.dropout = float(dropout)
        self.network = network
        self.class_agnostic = bool(class_agnostic)
        self.ranks = tuple(ranks) if ranks else (None,) * len(self.units)
        if len(self.ranks) != len(self.units):
            raise ValueError(f"ranks {self.ranks} do not fit {len(self.units)} layers; give one each.")
        self.normalized = bool(normalized)
        if boxes_from not in ("dense", "pooled"):
            raise ValueError(f"Unknown boxes_from {boxes_from!r}; use 'dense' or 'pooled'.")
        self.boxes_from = boxes_from
        self.widths = tuple(convs)
        self.batch_norm = bool(batch_norm)
        self.epsilon = float(epsilon)
        self.background_box = bool(background_box)
        self.convs = [self._convolution(width, f"conv{index}") for index, width in enumerate(self.widths, 1)]
        settings = {"momentum": 0.9, "epsilon": self.epsilon, "dtype": self.dtype_policy}
        names = [f"norm{index}" for index in range(1, len(self.convs) + 1) if batch_norm]
        self.norms = [keras.layers.BatchNormalization(**settings, name=name) for name in names]
        # One list per fully connected layer (fc6, fc7 …): the layer, or its two factors.
        self.dense = []
        if network is None:
            self.dense = [
                self._fully_connected(width, rank, f"fc{index}")
                for index, (width, rank) in enumerate(zip(self.units, self.ranks), start=6)
            ]
        self.drop = keras.layers.Dropout(self.dropout, dtype=self.dtype_policy, name="dropout")
        self.box_count = 1 if class_agnostic else self.num_classes
        self.class_dense = self._predictor(self.num_classes + 1, 0.01, "class_predictor")
        box_predictor = NormalizedDense if normalized else keras.layers.Dense
        # Class-agnostic boxes have no row for the background.
        self.box_rows = self.box_count + (self.background_box and not self.class_agnostic)
        self.box_dense = self._predictor(4 * self.box_rows, 0.001, "box_predictor", box_predictor)

    def _convolution(self, width, name):
        return keras.layers.Conv2D(
            width,
            3,
            padding="same",
            use_bias=not self.batch_norm,
            kernel_initializer="he_normal",
            dtype=self.dtype_policy,
            name=name,
        )

    def _fully_connected(self, width, rank, name):
        if not rank:
            return [keras.layers.Dense(width, activation="relu", dtype=self.dtype_policy, name=name)]
        return [
            keras.layers.Dense(rank, use_bias=False, dtype=self.dtype_policy, name=f"{name}_v"),
            keras.layers.Dense(width, activation="relu", dtype=self.dtype_policy, name=f"{name}_u"),
        ]

    def _predictor(self, units, stddev, name, layer: Any = keras.layers.Dense):
        return layer(
            units,
            kernel_initializer=keras.initializers.RandomNormal(stddev=stddev),
            dtype=self.dtype_policy,
            name=name,
        )

    def build(self, pooled_shape):
        shape = self.roi_shape = tuple(pooled_shape[2:])
        for conv in self.convs:
            conv.build((None, *shape))
            shape = (*shape[:-1], conv.filters)
        for norm, width in zip(self.norms, self.widths):
            norm.build((None, *shape[:-1], width))
        if self.network is None:
            features = math.prod(shape)
            for layer in self.dense_layers:
                layer.build((None, features))
                features = layer.units
        else:
            features = self.network.output_shape[-1]
        self.drop.build((None, features))
        self.class_dense.build((None, features))
        if self.network is None and self.boxes_from == "pooled":
            features = math.prod(shape)
        self.box_dense.build((None, features))

    def call(self, pooled, training=False):
        batch, count = tf.shape(pooled)[0], tf.shape(pooled)[1]
        features, box_features = self.features(pooled, training)
        logits = tf.cast(self.class_dense(features), tf.float32)
        deltas = tf.cast(self.box_dense(box_features), tf.float32)
        return (
            tf.reshape(logits, [batch, count, self.num_classes + 1]),
            tf.reshape(deltas, [batch, count, self.box_rows, 4])[:, :, self.box_rows - self.box_count :],
        )

    def features(self, pooled, training=False):
        """Compute the inputs of the two predictors.

        Args:
            pooled, training: see the call arguments.

        Returns:
            `[B·R, D]` for the classes; the same or `[B·R, F]` for the boxes.
        """
        rois = tf.reshape(pooled, [-1, *pooled.shape[2:]])
        if self.network is not None:
            features = self.network(rois, training=training)
            axes = list(range(1, features.shape.rank - 1))
            features = tf.reduce_mean(features, axis=axes) if axes else features
            return features, features
        for conv, norm in itertools.zip_longest(self.convs, self.norms):
            rois = conv(rois) if norm is None else norm(conv(rois), training=training)
            rois = tf.nn.relu(rois)
        features = flat = tf.reshape(rois, [-1, math.prod(rois.shape[1:])])
        for layers in self.dense:
            for layer in layers:
                features = layer(features)
            features = self.drop(features, training=training)
        return features, flat if self.boxes_from == "pooled" else features

    @property
    def deviation(self):
        """Deviation of the deltas, float32 `[K, 4]` or `[1, 4]`; None if they are not normalized."""
        if not self.normalized:
            return None
        return tf.reshape(self.box_dense.deviation, [self.box_count, 4])

    def normalize_boxes(self, mean, deviation):
        """Set the mean and deviation that normalize deltas, each float32 `[K, 4]` or `[1, 4]`."""
        self.box_dense.normalize(np.ravel(mean), np.ravel(deviation))

    @property
    def dense_layers(self):
        """The fully connected layers fc6, fc7 … in one list; a factored layer contributes both factors."""
        return list(itertools.chain(*self.dense))

    @property
    def predictors(self):
        """The two sibling layers, for classes and for boxes."""
        return [self.class_dense, self.box_dense]

    def output_rows(self, class_names):
        """Name the class of each output of the predictors.

        Returns:
            list of pairs: a predictor and the class names in the order of its outputs, None for the
            background. A class-agnostic predictor is left out.
        """
        classes = list(class_names)
        of_boxes = (self.box_dense, [None] * (self.box_rows - self.box_count) + classes)
        return [(self.class_dense, [None, *classes]), *([] if self.class_agnostic else [of_boxes])]

    def copy_from(self, other, delta_weights=(1.0, 1.0, 1.0, 1.0)):
        """Take the weights of another head with the same layers.

        A factored fully connected layer takes the truncated SVD of a whole one (Fast R-CNN, section 3.1).

        Args:
            other: `DetectionHead`.
            delta_weights: factors that turn the four deltas of `other` into those of this head.
        """
        if len(self.norms) != len(other.norms):
            raise ValueError("Only one of the heads has batch normalization; make both alike.")
        if self.network is not None:
            self.network.set_weights(other.network.get_weights())
        for mine, theirs in zip([*self.convs, *self.norms], [*other.convs, *other.norms], strict=True):
            mine.set_weights(theirs.get_weights())
        for mine, theirs in zip(self.dense, other.dense, strict=True):
            if len(mine) == len(theirs):
                for layer, its in zip(mine, theirs):
                    layer.set_weights(its.get_weights())
            else:
                _factor(theirs[0], *mine)
        self.class_dense.set_weights(other.class_dense.get_weights())
        if self.normalized and other.normalized:
            self.box_dense.set_weights(other.box_dense.get_weights())
        kernel, bias = other.box_dense.folded() if other.normalized else other.box_dense.get_weights()
        factors = np.tile(np.float32(delta_weights), self.box_rows)
        if not self.normalized:
            self.box_dense.set_weights([kernel * factors, bias * factors])
        elif not other.normalized or np.any(factors != 1.0):
            self.box_dense.unfold(kernel * factors, bias * factors)

    def load_dense(self, weights, source):
        """Load pretrained fully connected layers if all of them fit and no layer is factored.

        Args:
            weights: pairs of kernel and bias, NumPy arrays, for fc6, fc7 … in turn.
            source: where they come from, for `Detector.loading_report`.
        """
        shapes = [layer.kernel.shape for layer in self.dense_layers]
        if shapes != [kernel.shape for kernel, _ in weights]:
            return
        for (layer,), pair in zip(self.dense, weights):
            layer.set_weights(pair)
            layer.weights_source = source

    def compute_output_shape(self, pooled_shape):
        leading = tuple(pooled_shape[:2])
        return (*leading, self.num_classes + 1), (*leading, self.box_count, 4)

    def compute_output_spec(self, pooled, training=False):
        # Outputs are float32 under any policy, which Keras cannot infer.
        return tuple(keras.KerasTensor(shape, "float32") for shape in self.compute_output_shape(pooled.shape))

    @classmethod
    def from_config(cls, config):
        renamed = {"normalised": "normalized"}  # the spelling of version 0.1.0
        return super().from_config({renamed.get(name, name): value for name, value in config.items()})

    def get_config(self):
        return {
            **super().get_config(),
            "num_classes": self.num_classes,
            "units": self.units,
            "dropout": self.dropout,
            "network": self.network and keras.saving.serialize_keras_object(self.network),
            "class_agnostic": self.class_agnostic,
            "ranks": self.ranks,
            "normalized": self.normalized,
            "boxes_from": self.boxes_from,
            "convs": self.widths,
            "batch_norm": self.batch_norm,
            "epsilon": self.epsilon,
            "background_box": self.background_box,
        }


def _factor(whole, right, left):
    """Fill the two factors of a fully connected layer with its truncated SVD."""
    kernel, bias = whole.get_weights()
    # Keras computes x W, the transpose of the paper's W x, so V comes first.
    rows, values, columns = np.linalg.svd(kernel, full_matrices=False)
    rank = right.units
    right.set_weights([rows[:, :rank] * values[:rank]])
    left.set_weights([columns[:rank], bias])
