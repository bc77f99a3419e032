"""Stack examples to batches: all images, or only the part of a batch that one process trains on."""

import tensorflow as tf

from keras_frcnn import images as image_ops

# Padding values of a batch.
PADDING = {
    "images": 0.0,
    "image_shapes": 0,
    "proposals": -1.0,
    "boxes": -1.0,
    "labels": -1,
    "ignore": False,
}


def whole(data: tf.data.Dataset, size: int) -> tf.data.Dataset:
    """All images of a batch.

    Args:
        data: data set of `(x, y, own)`: dicts with keys of `PADDING`, and whether the image is in the part.
        size: int, at least the images in `data`.

    Returns:
        Data set of `(x, y)`.
    """
    return data.map(lambda x, y, own: (x, y)).padded_batch(size, padding_values=_padding(data))


def own_rows(data: tf.data.Dataset, size: int) -> tf.data.Dataset:
    """The images of a batch that are in the part, padded to the largest of the whole batch.

    Args:
        data: as of `whole`; images outside the part have no channels, so their size costs no memory.
        size: int, at least the images in `data`.

    Returns:
        Data set of `(x, y)`.
    """
    sides = data.element_spec[0]["images"].shape[:2]

    def without_pixels(x, y, own):
        return {**x, "images": tf.cast(tf.shape(x["images"])[:2], tf.float32)}, y, own

    def joined(rest, pixels):
        x, y, own = rest
        height, width = tf.unstack(tf.cast(tf.reduce_max(x["images"], axis=0), tf.int32))
        x, y = tf.nest.map_structure(lambda rows: tf.boolean_mask(rows, own), (x, y))
        images = tf.ensure_shape(image_ops.pad(pixels, height, width), [None, *sides, 3])
        return {**x, "images": images}, y

    rest = data.map(without_pixels).padded_batch(size, padding_values=(*_padding(data), False))
    pixels = data.filter(lambda x, y, own: own).map(
        lambda x, y, own: tf.ensure_shape(x["images"], [None, None, 3])
    )
    return tf.data.Dataset.zip((rest, pixels.padded_batch(size))).map(joined)


def _padding(data):
    return tuple({name: PADDING[name] for name in part} for part in data.element_spec[:2])
