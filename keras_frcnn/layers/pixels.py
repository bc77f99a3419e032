"""Preprocessing of raw pixels for a pretrained network.

Letters: B images, H height, W width, H' and W' both rounded up to the stride.
"""

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable("keras_frcnn")
class PixelNormalization(keras.layers.Layer):
    """Normalize RGB images, zero the padding around them, and pad to a multiple of the stride.

    Args:
        preprocessing: convention of the pretrained network: "caffe" (BGR 0–255 minus the ImageNet mean),
            "torch" (RGB 0–1 minus the mean, divided by the deviation), "tf" (−1…1) or "none" (RGB 0–255,
            for a network that normalizes by itself; its padding has the ImageNet mean).
        multiple: sides are padded at the bottom and right to a multiple of this, pixels.

    Call arguments:
        images: `[B, H, W, 3]`, RGB, uint8 or float 0–255.
        image_shapes: int `[B, 2]`, height and width of each image within its padding.

    Returns:
        `[B, H', W', 3]` in the compute dtype.
    """

    MEAN_BGR = (103.939, 116.779, 123.68)
    MEAN_RGB = (0.485, 0.456, 0.406)
    DEVIATION_RGB = (0.229, 0.224, 0.225)

    def __init__(self, preprocessing, multiple=1, **kwargs):
        super().__init__(autocast=False, **kwargs)
        if preprocessing not in ("caffe", "torch", "tf", "none"):
            raise ValueError(
                f"Unknown preprocessing {preprocessing!r}; use 'caffe', 'torch', 'tf' or 'none'."
            )
        self.preprocessing = preprocessing
        self.multiple = int(multiple)
        self.built = True

    def build(self, images_shape, image_shapes_shape):
        """Create nothing; Keras records the shapes for `summary`."""

    def call(self, images, image_shapes):
        batch, height, width = tf.unstack(tf.shape(images)[:3])
        if self.preprocessing == "caffe":
            images = images[..., ::-1]
        # Work on whole rows of pixels: TensorFlow is slow when the last dimension is only 3.
        rows = tf.reshape(tf.cast(images, tf.float32), [batch, height, 3 * width])
        if self.preprocessing == "caffe":
            rows -= tf.tile(self.MEAN_BGR, [width])
        elif self.preprocessing == "torch":
            rows = rows / 255.0 - tf.tile(self.MEAN_RGB, [width])
            rows *= tf.tile([1 / deviation for deviation in self.DEVIATION_RGB], [width])
        elif self.preprocessing == "tf":
            rows = rows / 127.5 - 1.0
        else:
            rows -= tf.tile(self.MEAN_BGR[::-1], [width])
        # Zero the padding after normalization, so that its values in the batch have no effect.
        inside = tf.sequence_mask(image_shapes[:, 0], height)[:, :, None]
        inside &= tf.sequence_mask(3 * image_shapes[:, 1], 3 * width)[:, None]
        below, beside = -height % self.multiple, -width % self.multiple
        rows = tf.pad(tf.where(inside, rows, 0.0), [[0, 0], [0, below], [0, 3 * beside]])
        # Pad before this, because a pad of unknown amounts forgets that there are three channels.
        pixels = tf.reshape(rows, [batch, height + below, width + beside, 3])
        if self.preprocessing == "none":
            pixels += self.MEAN_BGR[::-1]
        return tf.cast(pixels, self.compute_dtype)

    def compute_output_shape(self, images_shape, image_shapes_shape):
        return (images_shape[0], None, None, 3)

    def get_config(self):
        return {**super().get_config(), "preprocessing": self.preprocessing, "multiple": self.multiple}
