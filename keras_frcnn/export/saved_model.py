"""Write a detector as a SavedModel that speaks the TF Object Detection API contract.

Letters: B images, H height, W width, N detections.
"""

import json
import os
import tempfile
from pathlib import Path

import tensorflow as tf

import keras_frcnn
from keras_frcnn import boxes as box_ops
from keras_frcnn import images as image_ops

IMAGES = tf.TensorSpec([None, None, None, 3], tf.uint8, name="input_tensor")
PROPOSALS = tf.TensorSpec([None, None, 4], tf.float32, name="proposals")
BYTES = tf.TensorSpec([None], tf.string, name="image_bytes")


def saved_model(model, path):
    """Write a detector with all its pre- and post-processing as a SavedModel of stock TensorFlow operations.

    TF-Serving takes the folder as it is. It has two signatures:

    - `serving_default`: `input_tensor` uint8 `[B, H, W, 3]`, RGB, images of one shape;
    - `serving_bytes`: `image_bytes` string `[B]`, encoded images (JPEG, PNG, GIF, BMP) of any sizes.

    A model on external proposals has only the first, with a second input: `proposals` float32 `[B, P, 4]`,
    xyxy in pixels of the image, padded with −1.

    Both answer in float32: `detection_boxes` `[B, N, 4]` (ymin, xmin, ymax, xmax as fractions of the
    image), `detection_scores` `[B, N]`, `detection_classes` `[B, N]` counted from 1 and
    `num_detections` `[B]`; padding rows are box 0, score 0, class 1. `serving_bytes` also answers
    `image_ok` `[B]`: 0 for bytes that cannot be decoded, which have no detections and leave their
    neighbours alone. `assets/labels.txt` has a class a line, `assets/model.json` what a client may want
    to know.

    Args:
        model: `Detector`.
        path: folder to make; for TF-Serving its name is a version number.

    Raises:
        FileExistsError: there is something at `path` already.

    Example:
        >>> saved_model(keras_frcnn.FasterRCNN(["cell"], image_size=(96, 128)), "saved_models/cells/1")
        >>> serve = tf.saved_model.load("saved_models/cells/1").signatures["serving_bytes"]
        >>> serve(image_bytes=tf.constant([open("cells.jpg", "rb").read()]))["num_detections"]
    """
    path = Path(path).absolute()
    if path.exists():
        raise FileExistsError(
            f"{path} exists already; export to a new folder, such as the next version number."
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    # Written beside its place and renamed, so that a server that watches the folder never sees half a model.
    with tempfile.TemporaryDirectory(prefix=".export-", dir=path.parent) as folder:
        folder = Path(folder)
        (folder / "labels.txt").write_text(
            "".join(f"{name}\n" for name in model.class_names), encoding="utf-8"
        )
        (folder / "model.json").write_text(json.dumps(_description(model), indent=2) + "\n", encoding="utf-8")
        module = tf.Module()
        # `weights` leaves out the optimizer, the metrics and the random generators.
        module.weights = [weight.value for weight in model.weights]
        module.assets = [tf.saved_model.Asset(str(folder / name)) for name in ("labels.txt", "model.json")]
        tf.saved_model.save(
            module,
            str(folder / "saved_model"),
            signatures=_signatures(model),
            options=tf.saved_model.SaveOptions(experimental_custom_gradients=False),
        )
        os.rename(folder / "saved_model", path)


def _signatures(model):
    if model.needs_proposals:
        return {"serving_default": _from_images(model, PROPOSALS)}
    return {"serving_default": _from_images(model), "serving_bytes": _from_bytes(model)}


def _description(model):
    recipe = model.recipe
    backbone = recipe["backbone"]
    return {
        "keras_frcnn_version": keras_frcnn.__version__,
        "model": type(model).__name__,
        "backbone": backbone if isinstance(backbone, str) else backbone.name,
        "weights_source": recipe["weights_source"],
        "class_names": list(model.class_names),
        "image_size": list(model.image_size),
        "canvas": model.canvas,
        "preprocessing": recipe["preprocessing"],
        "score_threshold": recipe.get("score_threshold", 0.0),
        "nms_iou": recipe.get("nms_iou", recipe.get("rpn_nms_iou")),
        "max_detections": model.max_detections,
    }


def _from_images(model, *further):
    @tf.function(input_signature=[IMAGES, *further], autograph=False)
    def serve(images, *proposals):
        batch, shape = tf.shape(images)[0], tf.shape(images)[1:3]
        answer = tf.cond(
            batch > 0, lambda: model.detect_batch(images, None, *proposals), lambda: _nothing(model, 0)
        )
        return _contract(answer, tf.tile(shape[None], [batch, 1]))

    return serve


def _from_bytes(model):
    side = model.canvas_side

    def load(contents):
        # Every image is padded alike, for a stack needs one size; the model cuts the padding off again.
        def prepared():
            pixels, shape = model.prepare(image)
            return image_ops.pad(pixels, side, side), shape, tf.shape(image)[:2]

        def blank():
            return tf.zeros([side, side, 3]), tf.ones([2], tf.int32), tf.ones([2], tf.int32)

        # An operation that fails would fail the whole batch.
        image = image_ops.decode_or_empty(contents)
        ok = tf.size(image) > 0
        return ok, *tf.cond(ok, prepared, blank)

    size = tf.TensorSpec([2], tf.int32)
    loaded = tf.TensorSpec([], tf.bool), tf.TensorSpec([side, side, 3], tf.float32), size, size

    @tf.function(input_signature=[BYTES], autograph=False)
    def serve(contents):
        ok, pixels, shapes, originals = tf.map_fn(load, contents, fn_output_signature=loaded)

        def detect():
            good = {"images": tf.boolean_mask(pixels, ok), "image_shapes": tf.boolean_mask(shapes, ok)}
            return model.restore(model(good), good["image_shapes"], tf.boolean_mask(originals, ok))

        answer = tf.cond(tf.reduce_any(ok), detect, lambda: _nothing(model, 0))
        # The good rows lie close together, followed by one empty row that stands for all the others.
        count = tf.cast(ok, tf.int32)
        row = tf.where(ok, tf.cumsum(count, exclusive=True), tf.reduce_sum(count))
        empty = _nothing(model, 1)
        answer = {name: tf.gather(tf.concat([answer[name], empty[name]], 0), row) for name in answer}
        return {**_contract(answer, originals), "image_ok": tf.cast(ok, tf.float32)}

    return serve


def _nothing(model, batch):
    """The answer of `Detector.call` to images without detections."""
    rows = [batch, model.max_detections]
    return {
        "boxes": tf.fill([*rows, 4], -1.0),
        "scores": tf.fill(rows, -1.0),
        "labels": tf.fill(rows, -1),
        "num_detections": tf.zeros([batch], tf.int32),
    }


def _contract(answer, originals):
    """Detections as the TF Object Detection API words them.

    Args:
        answer: dict as from `Detector.detect_batch`.
        originals: int32 `[B, 2]`, height and width of the images as given.
    """
    filled = answer["labels"] >= 0
    boxes = box_ops.yxyx_normalised(answer["boxes"], originals)
    return {
        "detection_boxes": tf.where(filled[:, :, None], boxes, 0.0),
        "detection_scores": tf.where(filled, answer["scores"], 0.0),
        "detection_classes": tf.cast(tf.where(filled, answer["labels"] + 1, 1), tf.float32),
        "num_detections": tf.cast(answer["num_detections"], tf.float32),
    }
