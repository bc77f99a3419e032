"""The only resizing and padding of the package.

They use stock TensorFlow operations and give the same result eagerly, inside tf.data and inside an exported
SavedModel.

Letters: B images, H height, W width, in pixels.
"""

import operator

import numpy as np
import tensorflow as tf

# Sides are padded to multiples of this, because the usual networks halve them five times.
SIDE_MULTIPLE = 32


def checked_image_size(image_size):
    """Check a test-time size and return it as two ints.

    Args:
        image_size: `(short side, limit of the long side)`, pixels.

    Returns:
        tuple of two ints.

    Raises:
        ValueError: `image_size` is not such a pair, or its limit is below the short side.
    """
    try:
        short, long = (operator.index(side) for side in np.ravel(image_size))
        fits = 1 <= short <= long
    except (TypeError, ValueError):
        fits = False
    if not fits:
        shown = " ".join(repr(image_size).split())
        raise ValueError(
            f"image_size is {shown}; give (short side, limit of the long side) in pixels, two whole numbers "
            "from 1, the short side first."
        )
    return short, long


def resized_shape(height, width, image_size, rounding="exact"):
    """Size of an image after the resize of the Faster R-CNN paper (section 3.3).

    Args:
        height, width: pixels, Python ints or int tensors.
        image_size: `(short, long)`: the short side becomes `short`, unless the long side would exceed `long`;
            then the long side becomes `long`.
        rounding: "exact", integer arithmetic; or "float64" (torchvision), a float64 factor, which makes about
            one image in sixty a pixel smaller.

    Returns:
        `(height, width)`, rounded down and at least 1: ints if all arguments are ints and the rounding is
        "exact", otherwise int32 tensors.

    Raises:
        ValueError: `rounding` is unknown.

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
    # Use 64 bits, because the product of two sides may not fit into 32.
    height, width, short, long = (tf.cast(value, tf.int64) for value in (height, width, short, long))
    small, large = tf.minimum(height, width), tf.maximum(height, width)
    fits = large * short <= long * small
    target, side = tf.where(fits, short, long), tf.where(fits, small, large)
    return tuple(tf.cast(tf.maximum(value * target // side, 1), tf.int32) for value in (height, width))


def checked_rounding(rounding):
    """Check a rounding of `resized_shape` and return it.

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
    """Resize bilinearly with half-pixel centers and without antialiasing.

    Args:
        image: `[H, W, 3]` or `[B, H, W, 3]`, any numeric dtype.
        shape: the new `(height, width)`.

    Returns:
        float32 of that size, in the value range of the input.
    """
    return tf.cast(tf.image.resize(image, shape, method="bilinear", antialias=False), tf.float32)


def pad(image, height, width):
    """Pad with zeros at the bottom and on the right.

    Args:
        image: `[H, W, 3]` or `[B, H, W, 3]`, not larger than the result.
        height, width: size of the result.

    Returns:
        `[height, width, 3]` or `[B, height, width, 3]` of the same dtype.
    """
    shape = tf.shape(image)
    amounts = [[0, height - shape[-3]], [0, width - shape[-2]], [0, 0]]
    return tf.pad(image, [[0, 0]] * (len(image.shape) - 3) + amounts)
