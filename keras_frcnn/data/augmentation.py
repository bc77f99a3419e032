"""Augmentations of a training image; the boxes move with the pixels.

They are pure functions of an `Example` and the seed `[2]` of a stateless generator. The same seed gives the
same result, eagerly and inside tf.data. Letters: H, W pixels of the image, M objects, P proposals, T windows.
"""

from typing import NamedTuple

import tensorflow as tf

from keras_frcnn import boxes as box_ops

# Batch sampler of SSD: minimum IoU of a window with one of its objects.
OVERLAPS = (0.0, 0.1, 0.3, 0.5, 0.7, 0.9)
TRIALS = 50
SCALES = 0.3, 1.0
ASPECTS = 0.5, 2.0
# A box whose center lies on a corner of the window keeps a quarter of its area.
MIN_VISIBLE = 0.25


class Example(NamedTuple):
    """An image and its annotations; boxes are xyxy in its pixels.

    Attributes:
        image: `[H, W, 3]`, RGB 0-255, uint8 or float32.
        boxes: float32 `[M, 4]`.
        labels: int32 `[M]`.
        ignore: bool `[M]`, regions that are neither rewarded nor penalized.
        proposals: float32 `[P, 4]`, best first; P is 0 if there are none.
    """

    image: tf.Tensor
    boxes: tf.Tensor
    labels: tf.Tensor
    ignore: tf.Tensor
    proposals: tf.Tensor


def photometric(example, seed):
    """Distort the colors (SSD, section 2.2, with the numbers of its code).

    Each with probability 1/2: add up to ±32 to all values; multiply them by 0.5 to 1.5; multiply the
    saturation by 0.5 to 1.5; turn the hue by up to ±1/10 of the circle. The multiplication of the values
    comes second or last, equally often. Values stay within 0-255.

    Args:
        example: `Example`.
        seed: int `[2]`.

    Returns:
        Example, with an image of the same dtype and unchanged boxes.
    """
    draws = tf.random.stateless_uniform([9], seed)
    coins, amounts = draws[:5] < 0.5, 2.0 * draws[5:] - 1.0

    def brightness(image):
        return image + 32.0 * amounts[0]

    def contrast(image):
        return image * (1.0 + 0.5 * amounts[1])

    def saturation(image):
        return tf.image.adjust_saturation(image, 1.0 + 0.5 * amounts[2])

    def hue(image):
        return tf.image.adjust_hue(image, 0.1 * amounts[3])

    def perhaps(image, chosen, distort):
        return tf.cond(chosen, lambda: tf.clip_by_value(distort(image), 0.0, 255.0), lambda: image)

    image = tf.cast(example.image, tf.float32)
    image = perhaps(image, coins[0], brightness)
    image = perhaps(image, coins[1] & coins[4], contrast)
    image = perhaps(image, coins[2], saturation)
    image = perhaps(image, coins[3], hue)
    image = perhaps(image, coins[1] & ~coins[4], contrast)
    if example.image.dtype.is_integer:
        image = tf.round(image)
    return example._replace(image=tf.cast(image, example.image.dtype))


def crop(example, seed):
    """Crop to a random window that keeps an object (SSD, section 2.2).

    The window's sides are 0.3 to 1 of the image's, at 1/2 to 2 times its aspect ratio. The function draws a
    member of `OVERLAPS` and takes the first of 50 windows that keeps an object with at least this IoU with
    the window. If no window does, it tries the next member, and at last takes the whole image. Any window
    suits an image without objects. Landscape stays landscape and portrait stays portrait, so that batches
    keep their shape.

    Args:
        example: `Example`.
        seed: int `[2]`.

    Returns:
        Example, as `cut` returns it.
    """
    order_seed, window_seed = tf.unstack(tf.random.split(seed, 2))
    shape = tf.shape(example.image)[:2]
    overlaps = tf.repeat(tf.random.experimental.stateless_shuffle(OVERLAPS, order_seed), TRIALS)
    windows = _random_windows(shape, len(OVERLAPS) * TRIALS, window_seed)
    objects = tf.boolean_mask(example.boxes, ~example.ignore)
    iou = tf.where(_remain(objects, windows), box_ops.iou(tf.cast(windows, tf.float32), objects), -1.0)
    good = (tf.reduce_max(iou, axis=1) >= overlaps) | (tf.shape(objects)[0] == 0)
    width, height = tf.unstack(windows[:, 2:] - windows[:, :2], axis=1)
    good &= (height > width) == (shape[0] > shape[1])
    # The whole image comes last, in case no window is good.
    windows = tf.concat([windows, [[0, 0, shape[1], shape[0]]]], axis=0)
    return cut(example, windows[tf.argmax(tf.pad(good, [[0, 1]], constant_values=True))])


def cut(example, window):
    """Cut a window out of an example.

    Boxes are clipped to the window; those without area inside it are left out. An object stays an object if
    its center and at least a quarter of its area are inside. The visible parts of the others become `ignore`:
    too little to ask for, too much to call background.

    Args:
        example: `Example`.
        window: int32 `[4]`, xyxy in pixels, inside the image.

    Returns:
        Example.
    """
    x1, y1, x2, y2 = tf.unstack(window)

    def moved(boxes):
        corner = tf.cast(tf.stack([x1, y1, x1, y1]), tf.float32)
        boxes = box_ops.clip(boxes - corner, [y2 - y1, x2 - x1])
        return boxes, box_ops.area(boxes) > 0

    boxes, visible = moved(example.boxes)
    proposals, usable = moved(example.proposals)
    ignore = example.ignore | ~_remain(example.boxes, window[None])[0]
    return Example(
        example.image[y1:y2, x1:x2],
        tf.boolean_mask(boxes, visible),
        tf.boolean_mask(example.labels, visible),
        tf.boolean_mask(ignore, visible),
        tf.boolean_mask(proposals, usable),
    )


def mirror(example):
    """Flip an `Example` horizontally."""
    width = tf.cast(tf.shape(example.image)[1], tf.float32)
    return example._replace(
        image=tf.reverse(example.image, [1]),
        boxes=box_ops.flip_horizontally(example.boxes, width),
        proposals=box_ops.flip_horizontally(example.proposals, width),
    )


def scale_jitter(example, shape, room, factors, seed):
    """Large-scale jitter (Simple Copy-Paste, Ghiasi et al. 2021, section 3.1), without the resize.

    An image that would outgrow the room is cut to a random window that fits; the window may hold no object.

    Args:
        example: `Example`.
        shape: int32 `[2]`, the height and width that the image would have after the resize without jitter.
        room: int32 `[2]`, the largest height and width allowed, pixels after the resize.
        factors: `(low, high)`, range of the random factor on `shape`; 0.1 and 2 in the paper.
        seed: int `[2]`.

    Returns:
        Example, as `cut` returns it, and int32 `[2]`, the height and width to resize it to.
    """
    factor_seed, place_seed = tf.unstack(tf.random.split(seed, 2))
    low, high = factors
    factor = tf.random.stateless_uniform([], factor_seed, low, high)
    wanted = tf.maximum(tf.cast(tf.round(tf.cast(shape, tf.float32) * factor), tf.int32), 1)
    new = tf.minimum(wanted, room)
    # Cut the window before the resize, so that no pixel is resized in vain.
    old = tf.shape(example.image)[:2]
    size = _rounded(tf.cast(old, tf.float32) * tf.cast(new / wanted, tf.float32), old)
    window = _placed(size, old, tf.random.stateless_uniform([2], place_seed))
    return cut(example, window), new


def _remain(boxes, windows):
    """Whether boxes `[M, 4]` stay objects in windows `[T, 4]`: bool `[T, M]`."""
    windows = tf.cast(windows, tf.float32)
    centers = 0.5 * (boxes[:, :2] + boxes[:, 2:])
    inside = (centers >= windows[:, None, :2]) & (centers < windows[:, None, 2:])
    visible = box_ops.intersection(windows, boxes) >= MIN_VISIBLE * box_ops.area(boxes)
    return tf.reduce_all(inside, axis=-1) & visible


def _random_windows(shape, count, seed):
    """Random windows of SSD, int32 `[count, 4]`, in an image of a shape int32 `[2]`."""
    draws = tf.random.stateless_uniform([count, 4], seed)
    scale = SCALES[0] + (SCALES[1] - SCALES[0]) * draws[:, 0]
    aspect = ASPECTS[0] + (ASPECTS[1] - ASPECTS[0]) * draws[:, 1]
    aspect = tf.clip_by_value(aspect, scale**2, scale**-2)
    sides = tf.stack([scale * aspect**-0.5, scale * aspect**0.5], axis=1)
    return _placed(_rounded(sides * tf.cast(shape, tf.float32), shape), shape, draws[:, 2:])


def _rounded(size, shape):
    return tf.clip_by_value(tf.cast(tf.round(size), tf.int32), 1, shape)


def _placed(size, shape, place):
    """Windows `[..., 4]` of a size `[..., 2]` in an image, at a relative place `[..., 2]` in 0-1."""
    free = shape - size
    corner = tf.cast(tf.floor(place * tf.cast(free + 1, tf.float32)), tf.int32)
    corner = tf.minimum(corner, free)  # float32 may round the product up
    return tf.concat([corner[..., ::-1], (corner + size)[..., ::-1]], axis=-1)
