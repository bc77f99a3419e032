"""The tf.data pipeline: decode, resize, flip, batch.

Shape letters: B images of a batch, M the most objects of one of them, H and W pixels.
"""

import itertools

import numpy as np
import tensorflow as tf

from keras_frcnn import boxes as box_ops
from keras_frcnn import images


def batches(dataset, batch_size, image_size, training, seed, flip, short_sides, canvas):
    """Make the batches of `DetectionDataset.batches`, which documents the arguments."""
    _check_arguments(batch_size, image_size, seed, flip, short_sides)
    short, long = image_size
    count = len(dataset)
    objects = _Objects(dataset.records)
    portrait = np.array([record.height > record.width for record in dataset.records], bool)
    portraits = tf.constant(portrait)
    side = images.canvas_side(image_size)

    def load(index, seeds):
        image = dataset.source.tensor(index)
        boxes, labels, ignore = objects(index)
        if training and flip:
            # Before the resize, where an image is a fraction of the bytes.
            chosen = tf.random.stateless_uniform([], seeds + [0, 1]) < flip
            image, boxes = tf.cond(chosen, lambda: mirror(image, boxes), lambda: (image, boxes))
        old = tf.shape(image)[:2]
        limit = _choice(short_sides, seeds + [1, 0]) if training and short_sides is not None else short
        new = tf.stack(images.resized_shape(old[0], old[1], (limit, long)))
        # Most sets are of one size; an image that has the right one already is spared the work.
        same = tf.reduce_all(new == old)
        image = tf.cond(same, lambda: tf.cast(image, tf.float32), lambda: images.resize(image, new))
        ratio = tf.cast(new, tf.float32) / tf.cast(old, tf.float32)
        boxes *= tf.stack([ratio[1], ratio[0], ratio[1], ratio[0]])
        image = images.pad(image, *((side, side) if canvas else (round_up(new[0]), round_up(new[1]))))
        image.set_shape([side, side, 3] if canvas else [None, None, 3])
        # One row of padding where there is no object keeps M at least 1.
        empty = tf.cast(tf.shape(labels) == 0, tf.int32)
        boxes = tf.pad(boxes, [[0, empty[0]], [0, 0]], constant_values=-1.0)
        labels = tf.pad(labels, [[0, empty[0]]], constant_values=-1)
        ignore = tf.pad(ignore, [[0, empty[0]]])
        x = {"images": image, "image_shapes": new}
        return x, {"boxes": boxes, "labels": labels, "ignore": ignore}, portraits[index]

    def batch(data):
        padding = {"images": 0.0, "image_shapes": 0}, {"boxes": -1.0, "labels": -1, "ignore": False}, False
        return data.padded_batch(batch_size, padding_values=padding)

    data = _order(count, training, seed)
    data = data.map(load, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
    groups = [count] if canvas else [int(portrait.sum()), int((~portrait).sum())]
    if canvas:
        data = batch(data)
    else:
        # Images of a kind share a batch: less padding, and fewer shapes for the network to be traced with.
        # Their kind is that of the original, for a resize may round an almost square image to a square.
        data = data.group_by_window(
            lambda x, y, kind: tf.cast(kind, tf.int64),
            lambda _, window: batch(window),
            window_size=batch_size,
        )
    data = data.map(lambda x, y, _: (x, y))
    data = data.apply(tf.data.experimental.assert_cardinality(sum(-(-size // batch_size) for size in groups)))
    return data.prefetch(2)


def originals(dataset):
    """The images as they are: uint8 `[H, W, 3]`, in record order."""
    data = tf.data.Dataset.range(len(dataset))
    data = data.map(dataset.source.tensor, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
    return data.prefetch(4)


def mirror(image, boxes):
    """Mirror an image `[H, W, 3]` and its xyxy boxes `[M, 4]` from left to right."""
    width = tf.cast(tf.shape(image)[1], boxes.dtype)
    return tf.reverse(image, [1]), box_ops.flip_horizontally(boxes, width)


def round_up(size):
    """The next multiple of what networks are padded to, for ints and int tensors."""
    return -(-size // images.SIDE_MULTIPLE) * images.SIDE_MULTIPLE


def _check_arguments(batch_size, image_size, seed, flip, short_sides):
    if batch_size < 1:
        raise ValueError(f"batch_size is {batch_size}; give at least 1.")
    if not 1 <= image_size[0] <= image_size[1]:
        raise ValueError(
            f"image_size is {tuple(image_size)}; give (short side, limit of the long side) in pixels."
        )
    if seed < 0:
        raise ValueError(f"seed is {seed}; give 0 or more.")
    if not 0 <= flip <= 1:
        raise ValueError(f"flip is {flip}; give a probability from 0 to 1.")
    if short_sides is not None and (not len(short_sides) or min(short_sides) < 1):
        raise ValueError(f"short_sides is {short_sides}; give one or more sides of at least 1 pixel.")


def _order(count, training, seed):
    """Pairs of an image's index and two seeds for its augmentation, new in each iteration of training."""
    iterations = itertools.count()

    # NumPy draws them, because TensorFlow would mix the global seed into those of its data sets.
    def draw():
        random = np.random.default_rng([seed, next(iterations)])
        indices = random.permutation(count) if training else np.arange(count)
        yield indices, random.integers(2**31, size=[count, 2])

    signature = tf.TensorSpec([count], tf.int64), tf.TensorSpec([count, 2], tf.int64)
    return tf.data.Dataset.from_generator(draw, output_signature=signature).unbatch()


def _choice(values, seeds):
    return tf.constant(list(values))[tf.random.stateless_uniform([], seeds, 0, len(values), tf.int32)]


class _Objects:
    """The objects of all records in flat tensors, from which those of one record are sliced in the graph."""

    def __init__(self, records):
        self.splits = tf.constant(np.cumsum([0] + [len(record.labels) for record in records]), tf.int64)
        # The empty arrays in front keep the types where there is no record.
        boxes = [np.zeros([0, 4]), *(record.boxes for record in records)]
        labels = [np.zeros(0), *(record.labels for record in records)]
        ignore = [np.zeros(0), *(record.ignore for record in records)]
        self.boxes = tf.constant(np.concatenate(boxes), tf.float32)
        self.labels = tf.constant(np.concatenate(labels), tf.int32)
        self.ignore = tf.constant(np.concatenate(ignore), tf.bool)

    def __call__(self, index):
        rows = slice(self.splits[index], self.splits[index + 1])
        return self.boxes[rows], self.labels[rows], self.ignore[rows]
