"""Detections from a detector: with Keras (`call`), for raw images (`detect`), for a server (`export`).

Letters: B images, H height, W width, N detections, P proposals, K classes.
"""

from functools import cached_property
from os import PathLike
from typing import Any

import keras
import tensorflow as tf

from keras_frcnn import images as image_ops
from keras_frcnn.detects import detect_each, refuse_proposals
from keras_frcnn.models import batches
from keras_frcnn.models.argument_view import ArgumentView
from keras_frcnn.models.resizing import Resizing
from keras_frcnn.names import remedy

# The functions behind `export`, by format; each takes the model, a path and settings. The package `export`
# registers its own here on import, because `models` must not import it.
EXPORTERS = {}


class DetectionModel(keras.Model):
    """Base of `Detector`: from images to detections.

    Attributes:
        class_names: tuple of the names of the K classes; their order defines the labels 0…K−1.
        resizing: `Resizing`, which resizes images to the size that the model works at.
        stride: the sides of padded images are a multiple of it, pixels.
        image_size: `(short side, limit of the long side)` that `detect` and the export resize to, pixels.
        resize_rounding: rounding of the sides, see `images.resized_shape`.
        canvas: whether every image is letterboxed into one square, so that any batch takes one pass.
        max_detections: rows of the output (N).
        needs_proposals: whether the batches need external proposals.
    """

    class_names: tuple[str, ...]
    resizing: Resizing
    stride: int
    needs_proposals = False

    image_size = ArgumentView()
    resize_rounding = ArgumentView()
    canvas = ArgumentView()
    max_detections = ArgumentView()

    @property
    def has_one_size(self):
        """Whether `detect` accepts no other `image_size` than the model's own."""
        return self.canvas

    def infer(self, x, training=False):
        """Detect objects in images that share one padded shape; subclasses implement this.

        Args:
            x: dict of "images" `[B, H, W, 3]`, RGB 0–255, "image_shapes" int32 `[B, 2]`, height and width
                within the padding, and all other entries of the batch.
            training: bool, passed to the layers.

        Returns:
            dict of "boxes" `[B, N, 4]`, "scores" `[B, N]`, "labels" `[B, N]` and "num_detections" `[B]`,
            padded with −1.
        """
        raise NotImplementedError

    # Keras.

    def __call__(self, x, *args, **kwargs):
        self.check_inputs(x)  # here, because Keras adds its own text to errors from `call`
        return super().__call__(x, *args, **kwargs)

    def call(self, x, training=False):
        """Detect objects, in pixels of the given images, which are not resized.

        Args:
            x: images `[B, H, W, 3]`, RGB, uint8 or float 0–255; or a dict of "images" and "image_shapes" int
                `[B, 2]`; models with external proposals need the dict, with "proposals" float32 `[B, P, 4]`
                in pixels, padded with −1.
            training: bool.

        Returns:
            dict of "boxes" float32 `[B, N, 4]`, "scores" float32 `[B, N]`, "labels" int32 `[B, N]`, padded
            with −1, and "num_detections" int32 `[B]`. The detections of an image never depend on the
            rest of the batch: images share a pass only if their padded shapes are equal.
        """
        shapes_known = isinstance(x, dict) and "image_shapes" in x
        x = self.unpack(x)
        if self.canvas or not shapes_known:
            return self.infer(x, training)

        padded = -(-x["image_shapes"] // self.stride) * self.stride
        batch = tf.shape(padded)[0]
        step = tf.where(tf.reduce_all(padded == padded[:1]), batch, 1)
        answers = self._answer_arrays(batch)

        def one_pass(start, answers):
            part = {name: value[start : start + step] for name, value in x.items()}
            part["images"] = part["images"][:, : padded[start, 0], : padded[start, 1]]
            answer = self.infer(part, training)
            return start + step, {name: answers[name].write(start // step, answer[name]) for name in answers}

        _, answers = tf.while_loop(lambda start, _: start < batch, one_pass, [0, answers])
        return {name: array.concat() for name, array in answers.items()}

    def _answer_arrays(self, batch):
        shapes = {
            "boxes": (tf.float32, [None, self.max_detections, 4]),
            "scores": (tf.float32, [None, self.max_detections]),
            "labels": (tf.int32, [None, self.max_detections]),
            "num_detections": (tf.int32, [None]),
        }
        return {
            name: tf.TensorArray(dtype, size=0, dynamic_size=True, infer_shape=False, element_shape=shape)
            for name, (dtype, shape) in shapes.items()
        }

    def check_inputs(self, x):
        """Raise a readable error unless `x` is a batch for this model."""
        batches.check_images(x, type(self).__name__)

    def unpack(self, x):
        """Make a batch for `infer`; see `Resizing.unpack`."""
        return self.resizing.unpack(x)

    def _maybe_symbolic_build(self, iterator=None, data_batch=None):
        """Build nothing, because the constructor has: Keras would sum the targets, some of them bool."""

    def make_predict_function(self, force=False):
        # `call` groups images by their shapes, which XLA would need to know at compile time.
        compiled, self.jit_compile = self.jit_compile, False
        try:
            return super().make_predict_function(force)
        finally:
            self.jit_compile = compiled

    # Beyond Keras.

    def detect(self, image, proposals=None, *, image_size: tuple[int, int] | None = None) -> Any:
        """Detect objects in images of any size, in pixels of the images as given.

        Several threads may call this at once; no call changes the model.

        Args:
            image: path, or array `[H, W, 3]` RGB 0–255; or a list of these.
            proposals: for models with external proposals: array `[P, 4]` xyxy, pixels, or a list of these; by
                default those of selective search.
            image_size: `(short side, limit of the long side)` instead of the model's own, pixels.

        Returns:
            dict of arrays "boxes" float32 `[N, 4]` (pixels), "scores" float32 `[N]` (0–1, best first) and
            "labels" int32 `[N]` (0…K−1), without padding; a list of dicts for a list.

        Raises:
            FileNotFoundError: there is no such file.
            ValueError: a file is not an image, proposals are given to a model that makes its own or are not
                `[P, 4]`, or `image_size` is given to a model with fixed sizes.
        """
        if isinstance(image, list):
            return detect_each(self, image, proposals, image_size)
        image = image_ops.as_image(image)
        further = self.further_inputs(image, proposals)
        size = self.size_tensor(image_size)
        answer = self.detect_function(tf.constant(image[None], tf.float32), size, *further)
        return _without_padding(answer)[0]

    def detect_together(self, images) -> list[dict[str, Any]]:
        """Detect objects in images of one size in one pass, which keeps a GPU busier than one image does.

        Args:
            images: array `[B, H, W, 3]`, RGB 0–255.

        Returns:
            list of B dicts as from `detect`.

        Raises:
            ValueError: the model works on external proposals.
        """
        if self.needs_proposals:
            raise ValueError("A model on external proposals takes one image at a time; call detect.")
        return _without_padding(self.detect_function(tf.constant(images, tf.float32), self.size_tensor(None)))

    def further_inputs(self, image, proposals):
        """Make the arguments of `detect_batch` after the images and their size.

        Args:
            image: array `[H, W, 3]`.
            proposals: see `detect`.

        Returns:
            tuple of tensors.
        """
        if proposals is not None:
            refuse_proposals(self)
        return ()

    def size_tensor(self, image_size):
        """Convert an `image_size`, by default the model's own, to int32 `[2]`."""
        if image_size is not None and self.has_one_size:
            raise ValueError(
                "A model with canvas=True or pyramid_sides has sizes of its own; leave image_size out."
            )
        size = self.image_size if image_size is None else image_size
        return tf.constant(image_ops.checked_image_size(size), tf.int32)

    @property
    def detect_signature(self):
        """TensorSpecs of the arguments of `detect_batch`."""
        return tf.TensorSpec([None, None, None, 3], tf.float32), tf.TensorSpec([2], tf.int32)

    def detect_batch(self, images, image_size=None):
        """Detect objects in images of one shape, in pixels of the images as given; runs in a graph.

        Args:
            images: `[B, H, W, 3]`, RGB, uint8 or float 0–255.
            image_size: int32 `[2]` instead of the model's own; not with `canvas`.

        Returns:
            dict as from `call`.
        """
        x, originals = self.resizing.prepare_batch(images, image_size)
        return self.resizing.restore(self.infer(x), x["image_shapes"], originals)

    @cached_property
    def detect_function(self):
        """`tf.function` of `detect_batch`, traced once for images of all sizes."""
        # AutoGraph would read the source files on the first call; they may have changed since the import.
        return tf.function(
            self.detect_batch, input_signature=list(self.detect_signature), autograph=False, jit_compile=False
        )

    def forget_functions(self):
        """Trace anew when next asked, because a layer was replaced."""
        self.__dict__.pop("detect_function", None)

    def export(self, path: str | PathLike, format: str = "saved_model", **settings) -> None:
        """Write the detector for a server or another runtime; equals `keras_frcnn.export.FORMAT(self, path)`.

        Args:
            path: folder to create, such as "saved_models/cells/1".
            format: "saved_model" (TF-Serving), "onnx", "litert" or "openvino".
            settings: see the function of `keras_frcnn.export` that has the name of the format.

        Raises:
            ValueError: the format is unknown, or a setting cannot be met.
        """
        if format not in EXPORTERS:
            listed = remedy(format, EXPORTERS, f"use one of {', '.join(EXPORTERS)}.")
            raise ValueError(f"Unknown format {format!r}; {listed}")
        EXPORTERS[format](self, path, **settings)


def _without_padding(answer):
    """Split the answers for a batch into one dict of arrays for each image."""
    arrays = {name: answer[name].numpy() for name in ("boxes", "scores", "labels")}
    counts = answer["num_detections"].numpy()
    return [
        {name: array[index, :count] for name, array in arrays.items()} for index, count in enumerate(counts)
    ]
