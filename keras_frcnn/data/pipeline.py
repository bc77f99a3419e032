"""The tf.data pipeline: decode, resize, flip, batch.

Shape letters: B images of a batch, M the most objects of one of them, H and W pixels.
"""

import numpy as np
import tensorflow as tf

from keras_frcnn import images

# Every feature map of the usual networks divides it, down to the fifth halving.
SIDE_MULTIPLE = 32


def batches(
    dataset,
    batch_size,
    image_size=(600, 1000),
    training=False,
    seed=0,
    flip=0.5,
    short_sides=None,
    canvas=False,
):
    """Make the batches of `DetectionDataset.batches`, which documents the arguments."""
    if batch_size < 1:
        raise ValueError(f"batch_size is {batch_size}; give at least 1.")
    short, long = image_size
    if not 1 <= short <= long:
        raise ValueError(
            f"image_size is {tuple(image_size)}; give (short side, limit of the long side) in pixels."
        )
    count = len(dataset)
    objects = _Objects(dataset.records)
    side = round_up(long)

    def load(index, seeds):
        image = dataset.source.tensor(index)
        boxes, labels, ignore = objects(index)
        if training and flip:
            # Before the resize, where an image is a fraction of the bytes.
            chosen = tf.random.stateless_uniform([], seeds + [0, 1]) < flip
            image, boxes = tf.cond(chosen, lambda: mirror(image, boxes), lambda: (image, boxes))
        old = tf.shape(image)[:2]
        limit = _short_side(short_sides, seeds) if training and short_sides else short
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
        return {"images": image, "image_shapes": new}, {"boxes": boxes, "labels": labels, "ignore": ignore}

    def batch(data):
        padding = {"images": 0.0, "image_shapes": 0}, {"boxes": -1.0, "labels": -1, "ignore": False}
        return data.padded_batch(batch_size, padding_values=padding)

    order = tf.data.Dataset.range(count)
    if training:
        order = order.shuffle(max(count, 1), seed=seed, reshuffle_each_iteration=True)
    randoms = tf.data.Dataset.random(seed=seed, rerandomize_each_iteration=True).batch(2, drop_remainder=True)
    data = tf.data.Dataset.zip(order, randoms)
    data = data.map(load, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
    portrait = np.array([record.height > record.width for record in dataset.records], bool)
    groups = [count] if canvas else [int(portrait.sum()), int((~portrait).sum())]
    if canvas:
        data = batch(data)
    else:
        # Images of a kind share a batch: less padding, and fewer shapes for the network to be traced with.
        def kind(x, y):
            return tf.cast(x["image_shapes"][0] > x["image_shapes"][1], tf.int64)

        data = data.group_by_window(kind, lambda _, window: batch(window), window_size=batch_size)
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
    x1, y1, x2, y2 = tf.unstack(boxes, axis=-1)
    return tf.reverse(image, [1]), tf.stack([width - x2, y1, width - x1, y2], axis=-1)


def round_up(size):
    """The next multiple of `SIDE_MULTIPLE`, for ints and int tensors."""
    return -(-size // SIDE_MULTIPLE) * SIDE_MULTIPLE


def _short_side(short_sides, seeds):
    seeds = seeds + [1, 0]
    if isinstance(short_sides, tuple):
        low, high = short_sides
        return tf.random.stateless_uniform([], seeds, low, high + 1, tf.int32)
    return tf.constant(short_sides)[tf.random.stateless_uniform([], seeds, 0, len(short_sides), tf.int32)]


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
