"""Resize images to the size that a detector works at, and map its boxes back.

Letters: B images, H height, W width, N detections.
"""

import tensorflow as tf

from keras_frcnn import boxes as box_ops
from keras_frcnn import images as image_ops


class Resizing:
    """Resize images, letterbox them if there is a canvas, and map boxes back.

    Args:
        image_size: `(short side, limit of the long side)`, pixels.
        rounding: rounding of the sides, see `images.resized_shape`.
        canvas: whether every image is letterboxed into one square.
    """

    def __init__(self, image_size, rounding, canvas):
        self.image_size = image_size
        self.rounding = rounding
        self.canvas = canvas

    @property
    def canvas_side(self):
        """Side of the square canvas, pixels."""
        return image_ops.canvas_side(self.image_size)

    def prepare(self, images, image_size=None):
        """Resize images of one shape to `image_size` and, with a canvas, letterbox them; runs in a graph.

        Args:
            images: `[H, W, 3]` or `[B, H, W, 3]`, RGB, uint8 or float 0–255.
            image_size: int32 `[2]` instead of the detector's own.

        Returns:
            float32 images of the same rank, and int32 `[2]`, their height and width within the padding.
        """
        shape = tf.shape(images)
        short, long = tf.unstack(image_size) if image_size is not None else self.image_size
        image_shape = tf.stack(image_ops.resized_shape(shape[-3], shape[-2], (short, long), self.rounding))
        pixels = image_ops.resize(images, image_shape)
        if self.canvas:
            pixels = image_ops.pad(pixels, self.canvas_side, self.canvas_side)
        return pixels, image_shape

    def prepare_batch(self, images, image_size=None):
        """Make a batch from images of one shape.

        Args:
            images: `[B, H, W, 3]`, RGB, uint8 or float 0–255.
            image_size: see `prepare`.

        Returns:
            dict for `Detector.infer`, and int32 `[B, 2]`, height and width of the images as given.
        """
        pixels, image_shape = self.prepare(images, image_size)
        batch = [tf.shape(images)[0], 1]
        x = {"images": pixels, "image_shapes": tf.tile(image_shape[None], batch)}
        return x, tf.tile(tf.shape(images)[None, 1:3], batch)

    @staticmethod
    def restore(answer, image_shapes, originals):
        """Map detections from prepared images back to the original ones.

        Args:
            answer: dict as from `Detector.call`.
            image_shapes: int32 `[B, 2]`, height and width after `prepare`, without padding.
            originals: int32 `[B, 2]`, height and width before it.

        Returns:
            `answer` with its boxes in pixels of the original images.
        """
        boxes = box_ops.rescale(answer["boxes"], image_shapes, originals)
        filled = (answer["labels"] >= 0)[:, :, None]
        return {**answer, "boxes": tf.where(filled, boxes, -1.0)}

    def unpack(self, x):
        """Make a batch for `Detector.infer` from the input of `call`.

        Args:
            x: images `[B, H, W, 3]`, or a dict of "images", optionally "image_shapes" `[B, 2]`, and more.

        Returns:
            dict with "image_shapes" int32 `[B, 2]`; with a canvas, the images are padded to the square.
        """
        x = dict(x) if isinstance(x, dict) else {"images": x}
        images = x["images"] = tf.convert_to_tensor(x["images"])
        shape = tf.shape(images)
        image_shapes = tf.cast(x.get("image_shapes", tf.tile(shape[None, 1:3], [shape[0], 1])), tf.int32)
        if self.canvas:
            side = self.canvas_side
            fits = tf.debugging.assert_less_equal(
                image_shapes, side, f"An image is larger than the canvas of {side} pixels; resize it first."
            )
            with tf.control_dependencies([fits] if fits is not None else []):
                images = image_ops.pad(images[:, :side, :side], side, side)
        return {**x, "images": images, "image_shapes": image_shapes}
