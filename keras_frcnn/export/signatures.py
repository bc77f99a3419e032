"""The two functions that a server calls, with the names of the TF Object Detection API.

Letters: B images, H height, W width, P proposals, N detections.
"""

import tensorflow as tf

from keras_frcnn import boxes as box_ops
from keras_frcnn import images as image_ops

IMAGES = tf.TensorSpec([None, None, None, 3], tf.uint8, name="input_tensor")
PROPOSALS = tf.TensorSpec([None, None, 4], tf.float32, name="proposals")
BYTES = tf.TensorSpec([None], tf.string, name="image_bytes")
# For an encoded image: whether it is readable, its prepared pixels, their shape without padding, and the
# shape of the original.
LOADED = (
    tf.TensorSpec([], tf.bool),
    tf.TensorSpec([None, None, 3], tf.float32),
    tf.TensorSpec([2], tf.int32),
    tf.TensorSpec([2], tf.int32),
)
ROWS_AT_A_TIME = 8


def signatures(model, max_bytes, max_pixels):
    """The functions that `saved_model` writes, by name.

    Args:
        model: `Detector`.
        max_bytes, max_pixels: limits of an encoded image.

    Returns:
        dict of `tf.function`; a model on external proposals has no "serving_bytes".
    """
    if model.needs_proposals:
        return {"serving_default": _from_regions(model)}
    from_bytes = _from_bytes(model, max_bytes, max_pixels)
    return {"serving_default": _from_images(model), "serving_bytes": from_bytes}


def _from_images(model):
    @tf.function(input_signature=[IMAGES], autograph=False)
    def serve(input_tensor):
        return _detect(model, input_tensor)

    return serve


def _from_regions(model):
    @tf.function(input_signature=[IMAGES, PROPOSALS], autograph=False)
    def serve(input_tensor, proposals):
        return _detect(model, input_tensor, proposals)

    return serve


def _detect(model, images, *proposals):
    batch, shape = tf.shape(images)[0], tf.shape(images)[1:3]
    answer = tf.cond(
        batch > 0, lambda: model.detect_batch(images, None, *proposals), lambda: _nothing(model, 0)
    )
    return _contract(answer, tf.tile(shape[None], [batch, 1]))


def _from_bytes(model, max_bytes, max_pixels):
    def load(contents):
        # Never raise here: one failing operation fails the whole batch.
        image = image_ops.decode_or_empty(contents, max_bytes, max_pixels)
        ok = tf.size(image) > 0
        none = tf.zeros([0, 0, 3]), tf.ones([2], tf.int32)
        pixels, shape = tf.cond(ok, lambda: model.resizing.prepare(image), lambda: none)
        return ok, pixels, shape, tf.maximum(tf.shape(image)[:2], 1)

    def load_all(contents):
        rows = tf.size(contents)
        columns = [
            tf.TensorArray(spec.dtype, rows, infer_shape=False, element_shape=spec.shape) for spec in LOADED
        ]

        def load_row(row, *columns):
            values = load(contents[row])
            return row + 1, *(column.write(row, value) for column, value in zip(columns, values))

        _, *columns = tf.while_loop(lambda row, *_: row < rows, load_row, [0, *columns])
        return columns

    def answer_all(contents):
        ok, pixels, shapes, originals = load_all(contents)
        ok, shapes, originals = ok.stack(), shapes.stack(), originals.stack()

        def detect():
            good = {"image_shapes": tf.boolean_mask(shapes, ok)}
            side = [model.resizing.canvas_side] * 2 if model.canvas else tf.unstack(tf.reduce_max(shapes, 0))
            good["images"] = tf.map_fn(
                lambda row: image_ops.pad(pixels.read(row), *side),
                tf.cast(tf.where(ok)[:, 0], tf.int32),
                fn_output_signature=LOADED[1],
            )
            return model.resizing.restore(model(good), good["image_shapes"], tf.boolean_mask(originals, ok))

        answer = tf.cond(tf.reduce_any(ok), detect, lambda: _nothing(model, 0))
        # The good rows come first, followed by one empty row that stands for all the others.
        count = tf.cast(ok, tf.int32)
        row = tf.where(ok, tf.cumsum(count, exclusive=True), tf.reduce_sum(count))
        empty = _nothing(model, 1)
        answer = {name: tf.gather(tf.concat([answer[name], empty[name]], 0), row) for name in answer}
        return {**_contract(answer, originals), "image_ok": tf.cast(ok, tf.float32)}

    @tf.function(input_signature=[BYTES], autograph=False)
    def serve(contents):
        # Decode at most this many images at a time, however many rows a request has.
        batch = tf.size(contents)
        rows = tf.clip_by_value(batch, 1, ROWS_AT_A_TIME)
        slices = tf.maximum(-(-batch // rows), 1)
        contents = tf.concat([contents, tf.fill([slices * rows - batch], "")], 0)
        answer = tf.map_fn(
            answer_all,
            tf.reshape(contents, [slices, rows]),
            parallel_iterations=1,
            fn_output_signature=_answer_specs(model),
        )
        return {name: tf.reshape(value, [-1, *value.shape[2:]])[:batch] for name, value in answer.items()}

    return serve


def _answer_specs(model):
    shapes = {
        "detection_boxes": [None, model.max_detections, 4],
        "detection_scores": [None, model.max_detections],
        "detection_classes": [None, model.max_detections],
        "num_detections": [None],
        "image_ok": [None],
    }
    return {name: tf.TensorSpec(shape, tf.float32) for name, shape in shapes.items()}


def _nothing(model, batch):
    """The output of `Detector.call` for images without detections."""
    rows = [batch, model.max_detections]
    return {
        "boxes": tf.fill([*rows, 4], -1.0),
        "scores": tf.fill(rows, -1.0),
        "labels": tf.fill(rows, -1),
        "num_detections": tf.zeros([batch], tf.int32),
    }


def _contract(answer, originals):
    """Convert detections to the format of the TF Object Detection API.

    Args:
        answer: dict as from `Detector.detect_batch`.
        originals: int32 `[B, 2]`, height and width of the original images, pixels.
    """
    filled = answer["labels"] >= 0
    boxes = box_ops.yxyx_normalized(answer["boxes"], originals)
    return {
        "detection_boxes": tf.where(filled[:, :, None], boxes, 0.0),
        "detection_scores": tf.where(filled, answer["scores"], 0.0),
        "detection_classes": tf.cast(tf.where(filled, answer["labels"] + 1, 1), tf.float32),
        "num_detections": tf.cast(answer["num_detections"], tf.float32),
    }
