"""The region proposal network.

Letters: B images, L levels, k anchors per cell, A anchors of all levels, S selected anchors, R proposals.
"""

from typing import Any

import keras
import tensorflow as tf

from keras_frcnn import boxes as box_ops
from keras_frcnn.layers.anchors import AnchorGenerator
from keras_frcnn.ops.maps import as_list, first_shape
from keras_frcnn.ops.nms import grouped_nms


@keras.saving.register_keras_serializable("keras_frcnn")
class RegionProposalNetwork(keras.layers.Layer):
    """Predict objectness and a box for each anchor, and propose the best boxes (Faster R-CNN, section 3.1).

    A pyramid is handled as in Feature Pyramid Networks, section 4.1.

    Args:
        anchors: `AnchorGenerator`; by default the paper's nine anchors at stride 16.
        channels: filters of the 3×3 convolution; 512 with VGG16, 256 with ZF and FPN.
        objectness: "softmax" has two class channels per anchor, as in the paper; "sigmoid" has one.
        pre_nms: `(training, test)`, boxes of each level that enter non-maximum suppression.
        post_nms: `(training, test)`, proposals that remain after it (R).
        nms_iou: proposals whose IoU with a better one is higher are dropped.
        min_size: proposals with a shorter side are dropped, pixels.
        coder_weights: weights of the `BoxCoder`.
        depth: number of 3×3 convolutions; 1 in the papers.
        score_threshold: proposals with a lower score are dropped, 0–1.
        min_size_first: whether to drop small boxes before the cut to `pre_nms` (py-faster-rcnn, chainercv) or
            after it (torchvision, detectron2).

    Call arguments:
        features: tensor `[B, H, W, C]` or list of L such tensors.
        image_shapes: `[B, 2]`, height and width to clip proposals to, pixels; by default the whole map.
        training: bool.

    Returns:
        dict of "objectness" float32 `[B, A]` (logits), "deltas" float32 `[B, A, 4]`, "anchors" float32
        `[A, 4]`, "proposals" float32 `[B, R, 4]` (pixels, best first, 0 in padding rows, without gradient),
        "scores" float32 `[B, R]` (0–1, 0 in padding rows) and "count" int32 `[B]`.
    """

    def __init__(
        self,
        anchors=None,
        channels=512,
        objectness="softmax",
        pre_nms=(12000, 6000),
        post_nms=(2000, 300),
        nms_iou=0.7,
        min_size=16.0,
        coder_weights=(1.0, 1.0, 1.0, 1.0),
        depth=1,
        score_threshold=0.0,
        min_size_first=False,
        **kwargs,
    ):
        super().__init__(autocast=False, **kwargs)
        if objectness not in ("softmax", "sigmoid"):
            raise ValueError(f"Unknown objectness {objectness!r}; use 'softmax' or 'sigmoid'.")
        if isinstance(anchors, dict):
            anchors = keras.saving.deserialize_keras_object(anchors)
        self.anchors = anchors or AnchorGenerator(sizes=((128, 256, 512),), strides=(16,), name="anchors")
        self.channels = int(channels)
        self.objectness = objectness
        self.pre_nms = tuple(pre_nms)
        self.post_nms = tuple(post_nms)
        self.nms_iou = float(nms_iou)
        self.min_size = float(min_size)
        self.coder = box_ops.BoxCoder(coder_weights)
        self.depth = int(depth)
        self.score_threshold = float(score_threshold)
        self.min_size_first = bool(min_size_first)
        k = self.anchors.anchors_per_cell
        self.conv = self._conv(self.channels, 3, "conv", activation="relu")
        self.further_convs = [
            self._conv(self.channels, 3, f"conv_{index}", activation="relu") for index in range(1, self.depth)
        ]
        self.class_conv = self._conv(k * (2 if objectness == "softmax" else 1), 1, "class_conv")
        self.box_conv = self._conv(4 * k, 1, "box_conv")

    def _conv(self, filters, kernel_size, name, activation=None):
        layer: Any = keras.layers.Conv2D  # Keras's annotation allows initializers only by name
        return layer(
            filters,
            kernel_size,
            padding="same",
            activation=activation,
            kernel_initializer=keras.initializers.RandomNormal(stddev=0.01),  # section 3.1.3
            dtype=self.dtype_policy,
            name=name,
        )

    def build(self, features_shape):
        shape = first_shape(features_shape)
        hidden = (*shape[:-1], self.channels)
        self.conv.build(shape)
        for conv in self.further_convs:
            conv.build(hidden)
        self.class_conv.build(hidden)
        self.box_conv.build(hidden)

    def call(self, features, image_shapes=None, training=False):
        features = as_list(features)
        if image_shapes is None:
            image_shapes = self._whole(features[0])
        anchors = self.anchors.per_level(features)
        objectness, deltas = zip(*(self._predict(feature) for feature in features), strict=True)
        with tf.name_scope("proposals"):
            proposals, scores, count = self._propose(objectness, deltas, anchors, image_shapes, training)
        return {
            "objectness": tf.concat(objectness, axis=1),
            "deltas": tf.concat(deltas, axis=1),
            "anchors": tf.concat(anchors, axis=0),
            "proposals": proposals,
            "scores": scores,
            "count": count,
        }

    def _whole(self, feature):
        shape = tf.shape(feature)
        return tf.tile(shape[None, 1:3] * self.anchors.strides[0], [shape[0], 1])

    def _predict(self, feature):
        hidden = self.conv(feature)
        for conv in self.further_convs:
            hidden = conv(hidden)
        batch = tf.shape(feature)[0]
        logits, deltas = self._outputs(hidden)
        return tf.reshape(logits, [batch, -1]), tf.reshape(deltas, [batch, -1, 4])

    def _outputs(self, hidden):
        """Logits `[..., k]` and deltas `[..., 4k]` of cells."""
        logits = tf.cast(self.class_conv(hidden), tf.float32)
        if self.objectness == "softmax":
            # A softmax over (background, object) equals the sigmoid of the difference of its logits.
            background, foreground = tf.split(logits, 2, axis=-1)
            logits = foreground - background
        return logits, tf.cast(self.box_conv(hidden), tf.float32)

    def at(self, features, index):
        """Predict only the given anchors, each from the patch of the map that it sees.

        The results equal those of the call, but the gradient of a loss over a minibatch goes through a few
        hundred patches instead of all the maps.

        Args:
            features: see the call arguments.
            index: int32 `[B, S]`, rows of "anchors".

        Returns:
            objectness float32 `[B, S]`, logits; deltas float32 `[B, S, 4]`.
        """
        features = as_list(features)
        shape, k = tf.shape(index), self.anchors.anchors_per_cell
        hidden, inside = self._patches(features, index // k)
        for conv in (self.conv, *self.further_convs):
            hidden = tf.nn.relu(_convolved(hidden, conv))
            # Padding is 0 before every convolution, so reset the cells beyond the border of the map.
            inside = inside[:, 1:-1, 1:-1]
            hidden = tf.where(inside, hidden, tf.zeros([], hidden.dtype))
        logits, deltas = self._outputs(hidden)
        anchor = index % k
        return (
            tf.gather(tf.reshape(logits, [*tf.unstack(shape), k]), anchor, batch_dims=2),
            tf.gather(tf.reshape(deltas, [*tf.unstack(shape), k, 4]), anchor, batch_dims=2),
        )

    def _patches(self, features, cell):
        """Cut out the surroundings of cells, which are numbered through all levels.

        Args:
            features: list of L maps `[B, H, W, C]`.
            cell: int `[B, S]`.

        Returns:
            `[B·S, 2d + 1, 2d + 1, C]` in the compute dtype, d the depth, 0 beyond the map; and bool
            `[B·S, 2d + 1, 2d + 1, 1]`, whether a cell is within it.
        """
        window = tf.range(-self.depth, self.depth + 1)
        patches, inside, start = [], [], 0
        for feature in features:
            batch, height, width, channels = tf.unstack(tf.shape(feature))
            own = cell - start
            y, x = (
                ((own // width)[..., None] + window)[..., None],
                ((own % width)[..., None] + window)[..., None, :],
            )
            here = (own >= 0) & (own < height * width)
            within = here[..., None, None] & (y >= 0) & (y < height) & (x >= 0) & (x < width)
            place = (tf.range(batch)[:, None, None, None] * height + y) * width + x
            rows = tf.gather(tf.reshape(feature, [-1, feature.shape[-1]]), tf.where(within, place, 0))
            patches.append(tf.where(within[..., None], rows, tf.zeros([], rows.dtype)))
            inside.append(within)
            start += height * width
        side = 2 * self.depth + 1
        patches = tf.reshape(tf.add_n(patches), [-1, side, side, features[0].shape[-1]])
        inside = tf.reshape(tf.reduce_any(tf.stack(inside), axis=0), [-1, side, side, 1])
        return tf.cast(patches, self.compute_dtype), inside

    def _propose(self, objectness, deltas, anchors, image_shapes, training):
        """Keep the best of each level, decode, clip, drop small boxes (first of all with `min_size_first`),
        suppress within each level, keep the best of all levels."""
        phase = 0 if training else 1
        boxes, scores = [], []
        for level, references in enumerate(anchors):
            limit = tf.minimum(self.pre_nms[phase], tf.shape(references)[0])
            logits, moves = tf.stop_gradient(objectness[level]), tf.stop_gradient(deltas[level])
            if self.min_size_first:
                logits = self._without_small(logits, moves, references, image_shapes)
            logits, index = tf.math.top_k(logits, limit)
            chosen = tf.gather(moves, index, axis=1, batch_dims=1)
            decoded = box_ops.clip(self.coder.decode(chosen, tf.gather(references, index)), image_shapes)
            usable = box_ops.at_least(decoded, self.min_size) & (tf.sigmoid(logits) >= self.score_threshold)
            logits = tf.where(usable, logits, -float("inf"))
            # One group per level: boxes compete only within their level, and the best of all levels remain.
            others = [tf.fill(tf.shape(logits), -float("inf"))] * (len(anchors) - 1)
            scores.append(tf.stack([*others[:level], logits, *others[level:]], axis=-1))
            boxes.append(decoded)
        proposals, logits, _, count = grouped_nms(
            tf.concat(boxes, axis=1),
            tf.concat(scores, axis=1),
            iou_threshold=self.nms_iou,
            score_threshold=-float("inf"),
            max_outputs=self.post_nms[phase],
        )
        filled = tf.sequence_mask(count, self.post_nms[phase])
        return proposals, tf.where(filled, tf.sigmoid(logits), 0.0), count

    def _without_small(self, logits, deltas, references, image_shapes):
        """Logits `[B, A]` of a level, −∞ where a box is too small."""
        decoded = box_ops.clip(self.coder.decode(deltas, references), image_shapes)
        return tf.where(box_ops.at_least(decoded, self.min_size), logits, -float("inf"))

    def compute_output_spec(self, features, image_shapes=None, training=False):
        def spec(*shape, dtype="float32"):
            return keras.KerasTensor(shape, dtype=dtype)

        first = as_list(features)[0]
        batch, proposals = first.shape[0], self.post_nms[0 if training else 1]
        return {
            "objectness": spec(batch, None),
            "deltas": spec(batch, None, 4),
            "anchors": spec(None, 4),
            "proposals": spec(batch, proposals, 4),
            "scores": spec(batch, proposals),
            "count": spec(batch, dtype="int32"),
        }

    def compute_output_shape(self, features_shape, image_shapes_shape=None):
        spec = self.compute_output_spec(keras.KerasTensor(first_shape(features_shape)))
        return {name: value.shape for name, value in spec.items()}

    def get_config(self):
        return {
            **super().get_config(),
            "anchors": keras.saving.serialize_keras_object(self.anchors),
            "channels": self.channels,
            "objectness": self.objectness,
            "pre_nms": self.pre_nms,
            "post_nms": self.post_nms,
            "nms_iou": self.nms_iou,
            "min_size": self.min_size,
            "coder_weights": self.coder.weights,
            "depth": self.depth,
            "score_threshold": self.score_threshold,
            "min_size_first": self.min_size_first,
        }


def _convolved(patches, conv):
    """Convolve 3×3 without padding, as one matrix product: much faster on maps of so few cells.

    Args:
        patches: `[N, H, H, C]`.
        conv: `keras.layers.Conv2D`.

    Returns:
        `[N, H − 2, H − 2, filters]`.
    """
    side = patches.shape[1] - 2
    windows = [patches[:, y : y + side, x : x + side] for y in range(3) for x in range(3)]
    windows = tf.reshape(tf.concat(windows, axis=-1), [-1, 9 * patches.shape[-1]])
    kernel, bias = (tf.cast(weight, patches.dtype) for weight in (conv.kernel, conv.bias))
    product = tf.matmul(windows, tf.reshape(kernel, [-1, conv.filters])) + bias
    return tf.reshape(product, [-1, side, side, conv.filters])
