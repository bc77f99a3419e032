"""From images as they are to detections in their own pixels, in Python and for the export.

Letters: B images, H height, W width, N detections, K classes.
"""

from functools import cached_property

import tensorflow as tf

from keras_frcnn import boxes as box_ops
from keras_frcnn import images as image_ops
from keras_frcnn.detects import detect_each, refuse_proposals


class WholeImages:
    """Mixin of `Detector`: resizes images, calls `infer` and carries the answer back."""

    def detect(self, image, proposals=None, *, image_size=None):
        """Detect objects in images as they are: any size, answered in their own pixels.

        Args:
            image: path, or array `[H, W, 3]` RGB 0–255; or a list of these.
            proposals: of models on external proposals: array `[P, 4]` xyxy, pixels, or a list of these; by
                default those of selective search.
            image_size: `(short side, limit of the long side)` in place of the model's own, pixels.

        Returns:
            dict of arrays "boxes" float32 `[N, 4]` (pixels), "scores" float32 `[N]` (0–1, best first) and
            "labels" int32 `[N]` (0…K−1), without padding; a list of such for a list.

        Raises:
            FileNotFoundError: there is no such file.
            ValueError: a file is no image, the model makes its own proposals or they are no `[P, 4]`, or it
                has sizes of its own.
        """
        if isinstance(image, list):
            return detect_each(self, image, proposals, image_size)
        image = image_ops.as_image(image)
        further = self.further_inputs(image, proposals)
        size = self._size(image_size)
        return self._first(self._detect_function(tf.constant(image[None], tf.float32), size, *further))

    def further_inputs(self, image, proposals):
        """What `detect_batch` takes after the images and their size.

        Args:
            image: array `[H, W, 3]`.
            proposals: as of `detect`.

        Returns:
            tuple of tensors.
        """
        if proposals is not None:
            refuse_proposals(self)
        return ()

    @property
    def has_one_size(self):
        """Whether `detect` knows no other `image_size` than the model's own."""
        return self.canvas

    @property
    def canvas_side(self):
        """Side of the square that `canvas` letterboxes into, pixels."""
        return image_ops.canvas_side(self.image_size)

    @property
    def detect_signature(self):
        """TensorSpecs of the arguments of `detect_batch`."""
        return tf.TensorSpec([None, None, None, 3], tf.float32), tf.TensorSpec([2], tf.int32)

    def detect_batch(self, images, image_size=None):
        """Resize images of one shape, detect, and answer in their own pixels; runs in a graph.

        Args:
            images: `[B, H, W, 3]`, RGB, uint8 or float 0–255.
            image_size: int32 `[2]` in place of the model's own; `canvas` knows only its own.

        Returns:
            dict as from `call`.
        """
        x, originals = self.prepare_batch(images, image_size)
        return self.restore(self.infer(x), x["image_shapes"], originals)

    def prepare_batch(self, images, image_size=None):
        """Resize images of one shape; arguments as of `detect_batch`.

        Returns:
            The batch for `infer`, and int32 `[B, 2]`, height and width of the images as given.
        """
        pixels, image_shape = self.prepare(images, image_size)
        batch = [tf.shape(images)[0], 1]
        x = {"images": pixels, "image_shapes": tf.tile(image_shape[None], batch)}
        return x, tf.tile(tf.shape(images)[None, 1:3], batch)

    def prepare(self, images, image_size=None):
        """Resize images of one shape to `image_size` and, with `canvas`, letterbox them.

        Args:
            images: `[H, W, 3]` or `[B, H, W, 3]`, RGB, uint8 or float 0–255.
            image_size: int32 `[2]` in place of the model's own.

        Returns:
            float32 images of the same rank, and int32 `[2]`, their height and width within the padding.
        """
        shape = tf.shape(images)
        short, long = tf.unstack(image_size) if image_size is not None else self.image_size
        image_shape = tf.stack(
            image_ops.resized_shape(shape[-3], shape[-2], (short, long), self.resize_rounding)
        )
        pixels = image_ops.resize(images, image_shape)
        if self.canvas:
            pixels = image_ops.pad(pixels, self.canvas_side, self.canvas_side)
        return pixels, image_shape

    @staticmethod
    def restore(answer, image_shapes, originals):
        """Carry detections from prepared images back to the original ones.

        Args:
            answer: dict as from `call`.
            image_shapes: int32 `[B, 2]`, height and width after `prepare`, without padding.
            originals: int32 `[B, 2]`, height and width before it.

        Returns:
            `answer` with its boxes in pixels of the originals.
        """
        boxes = box_ops.rescale(answer["boxes"], image_shapes, originals)
        filled = (answer["labels"] >= 0)[:, :, None]
        return {**answer, "boxes": tf.where(filled, boxes, -1.0)}

    def export(self, path, **settings):
        """Write a SavedModel for TF-Serving; the same as `keras_frcnn.export.saved_model(self, path)`.

        Args:
            path: folder to make, such as "saved_models/cells/1".
            settings: see `keras_frcnn.export.saved_model`.

        Raises:
            ValueError: a setting cannot be met, or `format`, which Keras has, is among them.
        """
        if "format" in settings:
            raise ValueError("A detector is exported as a SavedModel with signatures; leave format out.")
        from keras_frcnn.export import saved_model  # here, because imports go from export to models

        saved_model(self, path, **settings)

    @cached_property
    def _detect_function(self):
        # AutoGraph would read the source files when first called, which may have changed since the import.
        return tf.function(
            self.detect_batch, input_signature=list(self.detect_signature), autograph=False, jit_compile=False
        )

    def _size(self, image_size):
        if image_size is not None and self.has_one_size:
            raise ValueError(
                "A model with canvas=True or pyramid_sides has sizes of its own; leave image_size out."
            )
        return tf.constant(image_ops.checked_image_size(image_size or self.image_size), tf.int32)

    @staticmethod
    def _first(answer):
        count = int(answer["num_detections"][0])
        return {name: answer[name][0, :count].numpy() for name in ("boxes", "scores", "labels")}
