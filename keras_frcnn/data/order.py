"""Which image comes when: a pure function of the seed and the epoch.

Letters: T images of an epoch, in the order of its batches.
"""

import sys
from collections.abc import Callable

import numpy as np
import tensorflow as tf


class Order:
    """Group the images of an epoch into batches and number the batches, before anything is decoded.

    A batch has images of one kind only. Batches come in the order in which the shuffled images complete
    them; those that the epoch cannot fill come last.

    Args:
        kinds: int array, one per image; images of different kinds never share a batch.
        batch_size: int.
        seed: int.
        shuffle: whether each epoch has an order of its own.
        fill: whether a batch that the epoch cannot fill gets images of the same epoch once more.
        repeats: `Repeats` that show some images several times in an epoch, or None; with `shuffle` only.
        drop_remainder: whether a batch that the epoch cannot fill is left out.
    """

    def __init__(self, kinds, batch_size, seed, shuffle, fill=False, repeats=None, drop_remainder=False):
        self.kinds, self.repeats = np.asarray(kinds, np.int64), repeats
        self.batch_size, self.seed, self.shuffle, self.fill = batch_size, seed, shuffle, fill
        # Number of images of each kind in an epoch.
        self.counts = {
            kind: repeats.total(kind) if repeats else int((self.kinds == kind).sum())
            for kind in np.unique(self.kinds)
        }
        counts = np.array([*self.counts.values()], np.int64)
        full, rest = counts // batch_size, counts % batch_size
        if fill:
            full, rest = full + (rest > 0), np.zeros_like(rest)
        if drop_remainder:
            rest = np.zeros_like(rest)
        # Numbers of images in the batches of an epoch.
        self.sizes = np.array([batch_size] * int(full.sum()) + [int(size) for size in rest if size], np.int64)

    def place(self, epoch, batch):
        """Carry batches beyond the end of an epoch: the pair of epoch and batch that comes then."""
        more, batch = divmod(batch, max(len(self.sizes), 1))
        return epoch + more, batch

    def images(self, epoch, batch=0):
        """The images of an epoch from a batch on; runs in a graph.

        Args:
            epoch: int64 scalar.
            batch: int64 scalar.

        Returns:
            index int64 `[T]`, seeds of the augmentation int64 `[T, 2]`, and number of the batch int64 `[T]`.
        """
        count = sum(self.counts.values())
        order_seed, image_seed = tf.unstack(tf.random.split([self.seed, epoch], 2))
        shuffled = tf.range(len(self.kinds), dtype=tf.int64)
        # Stateless: tf.data would mix TensorFlow's global seed into the seeds of its own data sets.
        if self.repeats:
            shuffled = self.repeats.shuffled(order_seed)
        elif self.shuffle:
            shuffled = tf.random.experimental.stateless_shuffle(shuffled, order_seed)
        kinds = tf.gather(tf.constant(self.kinds), shuffled)
        places, rows, ends, used = [], [], [], count
        for kind, size in self.counts.items():
            own = tf.where(kinds == kind)[:, 0]
            total = -(-size // self.batch_size) * self.batch_size if self.fill else size
            window = np.arange(total) // self.batch_size
            # A batch is complete when its last image comes, or after all of them.
            last = (window + 1) * self.batch_size - 1
            complete = tf.gather(own, np.minimum(last, size - 1))
            ends.append(tf.where(last < size, complete, count + kind))
            own = tf.gather(own, np.arange(total) % size)
            places.append(own)
            # Images that fill a batch are augmented anew.
            fresh = np.maximum(np.arange(total) - size, 0) + used
            rows.append(tf.where(np.arange(total) < size, own, fresh))
            used += total - size
        seeds = tf.random.stateless_uniform([used, 2], image_seed, maxval=2**31, dtype=tf.int64)
        if not places:
            return shuffled, seeds, shuffled
        by_batch = tf.argsort(tf.concat(ends, 0), stable=True)
        index = tf.gather(shuffled, tf.gather(tf.concat(places, 0), by_batch))
        seeds = tf.gather(seeds, tf.gather(tf.concat(rows, 0), by_batch))
        # The images of batches that are left out come last.
        number = tf.constant(np.repeat(np.arange(len(self.sizes)), self.sizes), tf.int64)
        index, seeds = index[: len(number)], seeds[: len(number)]
        first = tf.gather(tf.constant(np.concatenate([[0], np.cumsum(self.sizes)]), tf.int64), batch)
        return index[first:], seeds[first:], number[first:]

    def in_part(self, number, batch, part, parts):
        """Which images belong to one of several equal parts of their batch; runs in a graph.

        Args:
            number: int64 `[T]`, the batches of the images, from the first image of a batch on.
            batch: int64 scalar, the first of them.
            part, parts: int, the place of the part, and how many there are.

        Returns:
            bool `[T]`.
        """
        firsts = tf.constant(np.concatenate([[0], np.cumsum(self.sizes)]), tf.int64)
        rows = tf.range(tf.size(number, tf.int64)) + tf.gather(firsts, batch) - tf.gather(firsts, number)
        sizes = tf.gather(tf.constant(np.append(self.sizes, 1), tf.int64), number)
        return rows * parts // sizes == part


class Position:
    """Where the next iteration over a data set begins; each iteration moves it on to the next epoch.

    Args:
        order: `Order`.
        epoch, batch: int, the place of the first iteration.
        movable: whether `go_to` has an effect on the data set.

    Attributes:
        one_batch: function from an epoch and the number of a batch to the class names, the batch's records
            and a function that makes the batch anew; `pipeline.batches` sets it.
        classes: dict from the labels of the data to their names; `pipeline.batches` sets it.
        image_size: `(short, long)` that images are resized to, pixels; `pipeline.batches` sets it.
        scales: whether training images come at several sizes; `pipeline.batches` sets it.
    """

    one_batch: Callable
    classes: dict
    image_size: tuple[int, int]
    scales: bool

    def __init__(self, order, epoch=0, batch=0, movable=True):
        self.order, self.movable = order, movable
        self.go_to(epoch, batch)

    def go_to(self, epoch, batch):
        """Begin the next iteration at another place."""
        self.epoch, self.batch = self.order.place(epoch, batch)

    def after(self, batches):
        """Return the epoch and the batch that come after a number of batches from here."""
        return self.order.place(self.epoch, self.batch + batches)

    def take(self):
        """Return epoch and batch as an int64 array, and go on to the next epoch."""
        here = np.array([self.epoch, self.batch], np.int64)
        self.epoch, self.batch = self.epoch + 1, 0
        return here


def one_epoch(position, part=0, parts=1):
    """A data set of `Order.images` and, of each image, whether it is in a part of its batch.

    It begins at a `Position` whenever it is iterated.
    """
    # Avoid from_generator: it makes glibc return freed memory to the system at once (see `allocator.py`).
    here = tf.data.Dataset.range(1).map(
        lambda _: tf.ensure_shape(tf.numpy_function(position.take, [], tf.int64), [2])
    )
    order = position.order

    def epoch(place):
        index, seeds, number = order.images(place[0], place[1])
        own = order.in_part(number, place[1], part, parts)
        return tf.data.Dataset.from_tensor_slices((index, seeds, number, own))

    return here.flat_map(epoch)


def endless(position):
    """A data set as of `one_epoch` with whole batches, one epoch after another, without any Python."""
    epoch, batch = position.epoch, position.batch
    first = tf.data.Dataset.from_tensors((tf.constant(epoch, tf.int64), tf.constant(batch, tf.int64)))
    later = tf.data.Dataset.range(epoch + 1, sys.maxsize).map(lambda number: (number, tf.zeros([], tf.int64)))

    def images(epoch, batch):
        index, seeds, number = position.order.images(epoch, batch)
        return tf.data.Dataset.from_tensor_slices((index, seeds, number, tf.ones_like(index, tf.bool)))

    return first.concatenate(later).flat_map(images)
