"""Anchors: the reference boxes of the RPN.

Letters: L pyramid levels, k anchors per cell, A anchors of all levels.
"""

import keras
import numpy as np
import tensorflow as tf

from keras_frcnn.ops.maps import as_list


@keras.saving.register_keras_serializable("keras_frcnn")
class AnchorGenerator(keras.layers.Layer):
    """Generate the anchors of every cell of a feature map or pyramid (Faster R-CNN, section 3.1.1).

    Args:
        sizes: sides of the square anchors, one or several per level, pixels: `((128, 256, 512),)` in the
            paper, `(32, 64, 128, 256, 512)` with FPN.
        strides: pixels between the cells of each level.
        ratios: height divided by width.
        offset: position of an anchor's center in its cell, as a fraction of the stride; 0.5 is the middle, 0
            the corner (torchvision, detectron2).
        rounding: "none"; "caffe" rounds a 16 px base anchor and scales it up, which gives the nine anchors of
            py-faster-rcnn (as half-open boxes); "torchvision" rounds the finished corners.
        steps: distance between cells: "stride"; or "quotient" (torchvision), the side of the image divided by
            the number of cells, rounded down. On 800 rows of pixels, the 13 cells of stride 64 are 61 apart.

    Call arguments:
        features: tensor `[B, H, W, C]` or list of L such tensors.

    Returns:
        float32 `[A, 4]`, xyxy pixels, ordered by level, row, column, ratio, size.

    Example:
        >>> anchors = AnchorGenerator(sizes=((128, 256, 512),), strides=(16,))
        >>> anchors(tf.zeros([1, 2, 3, 8])).shape
        TensorShape([54, 4])
    """

    def __init__(
        self, sizes, strides, ratios=(0.5, 1.0, 2.0), offset=0.5, rounding="none", steps="stride", **kwargs
    ):
        super().__init__(autocast=False, **kwargs)
        if len(sizes) != len(strides):
            raise ValueError(
                f"AnchorGenerator got {len(sizes)} levels of sizes and {len(strides)} strides; give one each."
            )
        if not len(ratios):
            raise ValueError("The anchors have no ratio of height and width; give one or more.")
        if rounding not in ("none", "caffe", "torchvision"):
            raise ValueError(f"Unknown anchor rounding {rounding!r}; use 'none', 'caffe' or 'torchvision'.")
        if steps not in ("stride", "quotient"):
            raise ValueError(f"Unknown anchor steps {steps!r}; use 'stride' or 'quotient'.")
        self.sizes = [list(np.atleast_1d(level).tolist()) for level in sizes]
        self.strides = list(strides)
        self.ratios = list(ratios)
        self.offset = float(offset)
        self.rounding = rounding
        self.steps = steps
        counts = {len(level) for level in self.sizes}
        if len(counts) > 1:
            raise ValueError(
                "Every pyramid level needs the same number of anchor sizes, because they share the RPN."
            )
        self.anchors_per_cell = counts.pop() * len(self.ratios)
        self.built = True

    def __repr__(self):
        levels = ", ".join(
            f"{'/'.join(f'{side:g}' for side in sides)} at stride {stride}"
            for sides, stride in zip(self.sizes, self.strides)
        )
        ratios = ", ".join(f"{ratio:g}" for ratio in self.ratios)
        return f"<AnchorGenerator: sides {levels}; height / width {ratios}>"

    def cell_anchors(self, level):
        """The k anchors of the cell at the origin of a level: float32 `[k, 4]`, pixels."""
        ratios, sizes = np.meshgrid(self.ratios, self.sizes[level], indexing="ij")
        if self.rounding == "caffe":
            width = np.round(np.sqrt(16.0 * 16.0 / ratios))
            height = np.round(width * ratios)
            width, height = width * sizes / 16.0, height * sizes / 16.0
        else:
            width, height = sizes / np.sqrt(ratios), sizes * np.sqrt(ratios)
        corners = np.stack([-width, -height, width, height], axis=-1).reshape(-1, 4) / 2.0
        if self.rounding == "torchvision":
            corners = np.round(corners)
        return (corners + self.offset * self.strides[level]).astype("float32")

    def call(self, features):
        return tf.concat(self.per_level(features), axis=0)

    def per_level(self, features):
        """Anchors as a list with one `[A_l, 4]` per level."""
        features = as_list(features)
        shapes = [tf.shape(feature)[1:3] for feature in features]
        image = shapes[0] * self.strides[0]
        steps = [
            image // shape if self.steps == "quotient" else [stride, stride]
            for shape, stride in zip(shapes, self.strides)
        ]
        return [self._level(*arguments) for arguments in zip(range(len(shapes)), shapes, steps)]

    def _level(self, level, shape, step):
        height, width = tf.unstack(tf.cast(shape, tf.float32))
        step_y, step_x = tf.unstack(tf.cast(step, tf.float32))
        x, y = tf.range(width) * step_x, tf.range(height) * step_y
        y, x = tf.meshgrid(y, x, indexing="ij")
        shift = tf.reshape(tf.stack([x, y, x, y], axis=-1), [-1, 1, 4])
        return tf.reshape(shift + self.cell_anchors(level), [-1, 4])

    def compute_output_shape(self, features_shape):
        return (None, 4)

    def compute_output_spec(self, features):
        # Anchors are float32 under any policy, which Keras cannot infer.
        return keras.KerasTensor((None, 4), "float32")

    def get_config(self):
        return {
            **super().get_config(),
            "sizes": self.sizes,
            "strides": self.strides,
            "ratios": self.ratios,
            "offset": self.offset,
            "rounding": self.rounding,
            "steps": self.steps,
        }
