"""The only decode, EXIF turn, resize and pad of the package.

`decode`, `resized_shape`, `resize` and `pad` are made of stock TensorFlow operations and run alike eagerly,
inside tf.data and inside an exported SavedModel. `read` and `as_image` are for plain Python.

Shape letters: B images, H height, W width, in pixels.
"""

import functools
from pathlib import Path

import numpy as np
import tensorflow as tf

from keras_frcnn import image_headers

# Sides are padded to multiples of this: the usual networks halve them five times.
SIDE_MULTIPLE = 32
# What each EXIF orientation needs after the transposition that 5 to 8 start with.
_MIRRORED = (2, 3, 6, 7)
_UPSIDE_DOWN = (3, 4, 7, 8)


def decode(contents, max_pixels=None):
    """Decode an encoded image and turn it upright.

    Args:
        contents: scalar string tensor, the bytes of a JPEG, PNG, GIF (its first frame) or BMP file. Grey
            images get three equal channels, an alpha channel is dropped and 16 bits become 8.
        max_pixels: an image whose header claims more counts as none, before anything of it is decoded.

    Returns:
        uint8 `[H, W, 3]` RGB, turned as the EXIF orientation of a JPEG says.

    Raises:
        tf.errors.InvalidArgumentError: the bytes are no such image.

    Example:
        >>> decode(tf.io.encode_png(tf.zeros([2, 5, 1], tf.uint8))).shape
        TensorShape([2, 5, 3])
    """
    return _traced_decode(max_pixels)(contents)


@functools.cache
def _traced_decode(max_pixels):
    # Tracing takes a second, so all pipelines and exports of a process share one trace.
    def decode(contents):
        return _decode(contents, max_pixels)

    return tf.function(decode, input_signature=[tf.TensorSpec([], tf.string)], autograph=False)


def _decode(contents, max_pixels):
    def within(contents, count_pixels):
        if max_pixels is None:
            return contents
        return tf.where(count_pixels(contents) <= max_pixels, contents, "")

    def jpeg():
        checked = within(contents, image_headers.jpeg_pixels)
        image = tf.io.decode_jpeg(checked, channels=3, dct_method="INTEGER_ACCURATE")
        return turn_upright(image, image_headers.orientation(contents))

    def png():
        return tf.io.decode_png(within(contents, image_headers.png_pixels), channels=3)

    def gif():
        # Without its other frames, which would all be unpacked first, however many and large they are.
        frame, corner, screen = image_headers.first_frame(contents)
        checked = within(frame, lambda _: tf.reduce_prod(tf.cast(screen, tf.int64)))
        image = tf.io.decode_image(checked, channels=3, expand_animations=False)
        behind = screen - corner - tf.shape(image)[:2]
        return tf.pad(image, tf.concat([tf.stack([corner, behind], 1), [[0, 0]]], 0))

    def bmp():
        # Unlike the other decoders this one refuses to change the number of channels.
        image = tf.io.decode_bmp(within(contents, image_headers.bmp_pixels))

        def coloured():
            return tf.gather(image_headers.bmp_palette(contents), tf.cast(image[..., 0], tf.int32))

        return tf.cond(tf.shape(image)[-1] == 1, coloured, lambda: image[..., :3])

    formats = {
        image_headers.JPEG: jpeg,
        image_headers.PNG: png,
        image_headers.GIF: gif,
        image_headers.BMP: bmp,
    }
    # TensorFlow's decoders look at the bytes, not at their own name: they would open formats whose size is
    # not known beforehand.
    image = tf.case(
        [(image_headers.starts_with(contents, prefix), decoder) for prefix, decoder in formats.items()],
        default=lambda: tf.io.decode_png("", channels=3),
    )
    return tf.ensure_shape(image, [None, None, 3])


def decode_or_empty(contents, max_bytes=None, max_pixels=None):
    """Decode as `decode` does; bytes that are no image give one without pixels instead of an error.

    Args:
        contents: scalar string tensor, the bytes of an image file.
        max_bytes: longer contents count as no image.
        max_pixels: as of `decode`.

    Returns:
        uint8 `[H, W, 3]`, `[0, 0, 3]` where the bytes cannot be decoded.
    """
    if max_bytes is not None:
        contents = tf.where(tf.strings.length(contents) <= max_bytes, contents, "")
    # A graph cannot catch an error, but a data set can skip an element: what follows it then comes first.
    # (Taking a single element costs 0.3 ms; `reduce` would optimise the little data set anew each time, for
    # 100 ms.)
    nothing = tf.data.Dataset.from_tensors(tf.zeros([0, 0, 3], tf.uint8))
    decoded = tf.data.Dataset.from_tensors(contents).map(_traced_decode(max_pixels))
    return decoded.ignore_errors().concatenate(nothing).take(1).get_single_element()


def turn_upright(image, orientation):
    """Turn an image as its EXIF orientation says.

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
    """Carry boxes from the stored image to the upright one.

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


def checked_image_size(image_size):
    """A test-time size as two ints.

    Args:
        image_size: `(short side, limit of the long side)`, pixels.

    Returns:
        tuple of two ints.

    Raises:
        ValueError: it is no such pair, or its limit is below the short side.
    """
    sides = tuple(int(side) for side in np.ravel(image_size))
    if len(sides) != 2 or not 0 < sides[0] <= sides[1]:
        raise ValueError(
            f"image_size is (short side, limit of the long side) in pixels; {image_size} cannot be met."
        )
    return sides


def resized_shape(height, width, image_size, rounding="exact"):
    """Size of an image after the resize of the Faster R-CNN paper (section 3.3).

    Args:
        height, width: pixels, Python ints or int tensors.
        image_size: `(short, long)`: the short side becomes `short`, unless the long side would exceed `long`;
            then the long side becomes `long`.
        rounding: "exact", in whole numbers; or "float64" (torchvision), by a factor of 64-bit floats, which
            makes about one image in sixty a pixel smaller.

    Returns:
        `(height, width)`, rounded down and at least 1: int32 tensors, or ints where all is ints and exact.

    Raises:
        ValueError: another rounding.

    Example:
        >>> resized_shape(375, 500, (600, 1000))
        (600, 800)
    """
    short, long = image_size
    if checked_rounding(rounding) == "float64":
        return _resized_by_float64(height, width, short, long)
    if not any(tf.is_tensor(value) for value in (height, width, short, long)):
        small, large = min(height, width), max(height, width)
        target, side = (short, small) if large * short <= long * small else (long, large)
        return max(height * target // side, 1), max(width * target // side, 1)
    # 64 bits, because the product of two sides may not fit into 32.
    height, width, short, long = (tf.cast(value, tf.int64) for value in (height, width, short, long))
    small, large = tf.minimum(height, width), tf.maximum(height, width)
    fits = large * short <= long * small
    target, side = tf.where(fits, short, long), tf.where(fits, small, large)
    return tuple(tf.cast(tf.maximum(value * target // side, 1), tf.int32) for value in (height, width))


def checked_rounding(rounding):
    """A rounding of `resized_shape`.

    Raises:
        ValueError: there is no such rounding.
    """
    if rounding not in ("exact", "float64"):
        raise ValueError(f"Unknown resize_rounding {rounding!r}; use 'exact' or 'float64'.")
    return rounding


def _resized_by_float64(height, width, short, long):
    height, width, short, long = (tf.cast(value, tf.float64) for value in (height, width, short, long))
    factor = tf.minimum(short / tf.minimum(height, width), long / tf.maximum(height, width))
    return tuple(tf.cast(tf.maximum(tf.floor(side * factor), 1.0), tf.int32) for side in (height, width))


def canvas_side(image_size):
    """Side of the square that images are letterboxed into: the limit of the long side, rounded up.

    Args:
        image_size: `(short, long)`, pixels.

    Returns:
        int, a multiple of `SIDE_MULTIPLE`.
    """
    return -(-image_size[1] // SIDE_MULTIPLE) * SIDE_MULTIPLE


def resize(image, shape):
    """Resize bilinearly with half-pixel centres and without antialiasing.

    Args:
        image: `[H, W, 3]` or `[B, H, W, 3]`, any numeric dtype.
        shape: the new `(height, width)`.

    Returns:
        float32 of that size, in the value range of the input.
    """
    return tf.cast(tf.image.resize(image, shape, method="bilinear", antialias=False), tf.float32)


def pad(image, height, width):
    """Pad with zeros at the bottom and at the right.

    Args:
        image: `[H, W, 3]` or `[B, H, W, 3]`, not larger than the result.
        height, width: size of the result.

    Returns:
        `[height, width, 3]` or `[B, height, width, 3]` of the same dtype.
    """
    shape = tf.shape(image)
    amounts = [[0, height - shape[-3]], [0, width - shape[-2]], [0, 0]]
    return tf.pad(image, [[0, 0]] * (len(image.shape) - 3) + amounts)


def read(path):
    """Read an image file.

    Args:
        path: file name of a JPEG, PNG, GIF or BMP.

    Returns:
        NumPy uint8 `[H, W, 3]` RGB, upright.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it cannot be decoded.
    """
    try:
        with open(path, "rb") as file:
            return from_bytes(file.read(), path)
    except (FileNotFoundError, IsADirectoryError):
        raise FileNotFoundError(f"There is no image file {path}; check the path.") from None


def as_image(image):
    """The pixels of an image given by path or as an array.

    Args:
        image: path, or array `[H, W, 3]` RGB 0-255 of any numeric dtype.

    Returns:
        NumPy `[H, W, 3]`: uint8 from a file, else of the dtype given.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file cannot be decoded, or the array is no RGB image.
    """
    if isinstance(image, (str, Path)):
        return read(image)
    image = np.asarray(image)
    if image.ndim != 3 or image.shape[-1] != 3 or image.size == 0:
        raise ValueError(
            f"detect wants an RGB image [H, W, 3] and got shape {image.shape}; convert it first."
        )
    return image


def from_bytes(contents, name):
    """Decode the bytes of an image; as `read`, with `name` standing for the file in messages."""
    try:
        with tf.device("CPU"):
            return decode(contents).numpy()
    except tf.errors.InvalidArgumentError:
        raise ValueError(undecodable(name)) from None


def undecodable(name):
    """The sentence that says that a file is no image; `name` is a str."""
    return f"{name} cannot be decoded as an image; replace it with an intact JPEG, PNG, GIF or BMP file."


def _is_any(value, choices):
    return tf.reduce_any(value == tf.constant(choices))
