"""The only image decoding and EXIF rotation of the package.

`decode` uses stock TensorFlow operations and gives the same result eagerly, inside tf.data and inside an
exported SavedModel. `read` and `as_image` are for plain Python.

Letters: H height, W width, C channels, in pixels; M boxes.
"""

import functools
import warnings
from pathlib import Path

import numpy as np
import tensorflow as tf

from keras_frcnn.images import headers, other_formats
from keras_frcnn.images.headers import undecodable

# EXIF orientations to flip horizontally and vertically; 5 to 8 are transposed first.
_MIRRORED = (2, 3, 6, 7)
_UPSIDE_DOWN = (3, 4, 7, 8)


def decode(contents, max_pixels=None):
    """Decode an encoded image and turn it upright.

    Args:
        contents: scalar string tensor, the bytes of a JPEG, PNG, GIF (its first frame) or BMP file. Gray
            images get three equal channels, an alpha channel is dropped and 16 bits become 8.
        max_pixels: int or None; an image whose header claims more is rejected before it is decoded.

    Returns:
        uint8 `[H, W, 3]` RGB, turned by the EXIF orientation of a JPEG or PNG.

    Raises:
        tf.errors.InvalidArgumentError: the bytes are not such an image.

    Example:
        >>> decode(tf.io.encode_png(tf.zeros([2, 5, 1], tf.uint8))).shape
        TensorShape([2, 5, 3])
    """
    return _traced_decode(max_pixels)(contents)


@functools.cache
def _traced_decode(max_pixels):
    # All pipelines and exports of a process share one trace, because tracing takes a second.
    def decode(contents):
        return _decode(contents, max_pixels)

    return tf.function(decode, input_signature=[tf.TensorSpec([], tf.string)], autograph=False)


def _decode(contents, max_pixels):
    def within(contents, count_pixels):
        if max_pixels is None:
            return contents
        return tf.where(count_pixels(contents) <= max_pixels, contents, "")

    def jpeg():
        checked = within(contents, headers.jpeg_pixels)
        image = tf.io.decode_jpeg(checked, channels=3, dct_method="INTEGER_ACCURATE")
        return turn_upright(image, headers.orientation(contents))

    def png():
        checked = within(contents, headers.png_pixels)
        wide = tf.strings.substr(contents, 24, 1) == b"\x10"
        image = tf.cond(
            wide,
            lambda: _eight_bits(tf.io.decode_png(checked, channels=3, dtype=tf.uint16)),
            lambda: tf.io.decode_png(checked, channels=3),
        )
        return turn_upright(image, headers.orientation(contents))

    def gif():
        # Cut the other frames off: the decoder would unpack all of them first, however many and large.
        frame, corner, screen = headers.first_frame(contents)
        checked = within(frame, lambda _: tf.reduce_prod(tf.cast(screen, tf.int64)))
        image = tf.io.decode_image(checked, channels=3, expand_animations=False)
        behind = screen - corner - tf.shape(image)[:2]
        return tf.pad(image, tf.concat([tf.stack([corner, behind], 1), [[0, 0]]], 0))

    def bmp():
        # Unlike the other decoders, decode_bmp refuses to change the number of channels.
        image = tf.io.decode_bmp(within(contents, headers.bmp_pixels))

        def colored():
            return tf.gather(headers.bmp_palette(contents), tf.cast(image[..., 0], tf.int32))

        return tf.cond(tf.shape(image)[-1] == 1, colored, lambda: image[..., :3])

    formats = {
        headers.JPEG: jpeg,
        headers.PNG: png,
        headers.GIF: gif,
        headers.BMP: bmp,
    }
    # Choose the decoder by the first bytes: TensorFlow's decoders ignore their own names and would open
    # formats whose size has not been checked.
    image = tf.case(
        [(headers.starts_with(contents, prefix), decoder) for prefix, decoder in formats.items()],
        default=lambda: tf.io.decode_png("", channels=3),
    )
    return tf.ensure_shape(image, [None, None, 3])


def _eight_bits(image):
    """The upper 8 bits of a uint16 image: of 16, or of 14, 12, 10 or 8 if these hold all its values."""
    highest = tf.cast(tf.reduce_max(image), tf.int32)
    shift = 2 * tf.reduce_sum(tf.cast(highest >= [2**8, 2**10, 2**12, 2**14], tf.int32))
    return tf.cast(tf.bitwise.right_shift(tf.cast(image, tf.int32), shift), tf.uint8)


def decode_or_empty(contents, max_bytes=None, max_pixels=None):
    """Decode as `decode` does, but return an empty image instead of raising an error.

    Args:
        contents: scalar string tensor, the bytes of an image file.
        max_bytes: int or None; longer contents count as undecodable.
        max_pixels: as in `decode`.

    Returns:
        uint8 `[H, W, 3]`; `[0, 0, 3]` if the bytes cannot be decoded.
    """
    if max_bytes is not None:
        contents = tf.where(tf.strings.length(contents) <= max_bytes, contents, "")
    # A graph cannot catch an error, but a data set can skip a failed element; the empty image then comes
    # first. get_single_element costs 0.3 ms; `reduce` would optimize the small data set again each time, in
    # 100 ms.
    nothing = tf.data.Dataset.from_tensors(tf.zeros([0, 0, 3], tf.uint8))
    decoded = tf.data.Dataset.from_tensors(contents).map(_traced_decode(max_pixels))
    return decoded.ignore_errors().concatenate(nothing).take(1).get_single_element()


def turn_upright(image, orientation):
    """Turn an image upright by its EXIF orientation.

    Args:
        image: `[H, W, C]`, as stored.
        orientation: scalar int32, 1 to 8.

    Returns:
        `[H, W, C]`, or `[W, H, C]` for the orientations 5 to 8.
    """

    def turned():
        result = tf.cond(orientation >= 5, lambda: tf.transpose(image, [1, 0, 2]), lambda: image)
        result = tf.cond(_is_any(orientation, _MIRRORED), lambda: tf.reverse(result, [1]), lambda: result)
        return tf.cond(_is_any(orientation, _UPSIDE_DOWN), lambda: tf.reverse(result, [0]), lambda: result)

    return tf.cond(orientation == 1, lambda: image, turned)


def turn_boxes_upright(boxes, orientation, height, width):
    """Map boxes from the stored image to the upright one.

    Args:
        boxes: NumPy `[M, 4]` xyxy in pixels of the image as stored.
        orientation: int, 1 to 8.
        height, width: size of the upright image.

    Returns:
        `[M, 4]` xyxy in pixels of the upright image.
    """
    if orientation >= 5:
        boxes = boxes[:, [1, 0, 3, 2]]
    if orientation in _MIRRORED:
        boxes = [width, 0, width, 0] + boxes[:, [2, 1, 0, 3]] * [-1, 1, -1, 1]
    if orientation in _UPSIDE_DOWN:
        boxes = [0, height, 0, height] + boxes[:, [0, 3, 2, 1]] * [1, -1, 1, -1]
    return boxes


def read(path):
    """Read an image file.

    Args:
        path: file name of a JPEG, PNG, GIF or BMP, or in one of the formats of `other_formats.py`.

    Returns:
        NumPy uint8 `[H, W, 3]` RGB, upright.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file cannot be decoded, or is too large.
    """
    try:
        with open(path, "rb") as file:
            return from_bytes(file.read(), path)
    except IsADirectoryError:
        raise FileNotFoundError(f"{path} is a folder; give an image file, or a list of such files.") from None
    except FileNotFoundError:
        raise FileNotFoundError(f"There is no image file {path}; check the path.") from None


def as_image(image):
    """Return the pixels of an image given by path or as an array.

    Args:
        image: path, or array `[H, W, 3]` RGB 0-255 of any numeric dtype.

    Returns:
        NumPy `[H, W, 3]`: uint8 from a file, otherwise the dtype of the array.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file cannot be decoded, or the array is not an RGB image.
    """
    if isinstance(image, (str, Path)):
        return read(image)
    given, image = image, np.asarray(image)
    if image.dtype.kind in "OUSmM":  # objects, texts, times
        kind = "None" if given is None else f"a {type(given).__name__}"
        raise ValueError(
            f"detect takes the path of an image or RGB pixels [H, W, 3], not {kind}; give one of these, or a "
            "list of them."
        )
    if image.ndim != 3 or image.shape[-1] != 3 or image.size == 0:
        raise ValueError(
            f"detect wants an RGB image [H, W, 3] and got shape {image.shape}; convert it first."
        )
    if image.dtype.kind == "f" and 0 < image.max() <= 1:
        warnings.warn(
            "The image has no pixel above 1 and is seen as black; multiply fractions by 255.", stacklevel=3
        )
    return image


def from_bytes(contents, name):
    """Decode the bytes of an image as `read` does; `name` stands for the file in messages."""
    if other_formats.is_other(contents):
        image = other_formats.decode(contents, turned, name)
        if image is None:
            raise ValueError(undecodable(name))
        return image
    headers.check_size(*(headers.header(contents) or (0, 0))[:2], name)
    try:
        with tf.device("CPU"):
            return decode(contents).numpy()
    except tf.errors.InvalidArgumentError:
        raise ValueError(undecodable(name)) from None


def turned(image, orientation):
    """Turn a NumPy image upright; see `turn_upright`."""
    with tf.device("CPU"):
        return turn_upright(tf.constant(image), tf.constant(orientation)).numpy()


def _is_any(value, choices):
    return tf.reduce_any(value == tf.constant(choices))
