"""The tf.data pipeline: decode, augment, resize, batch.

Shape letters: B images of a batch, M and P the largest numbers of objects and of proposals of an image in it,
H and W pixels.
"""

import numpy as np
import tensorflow as tf

from keras_frcnn import images as image_ops
from keras_frcnn.data import augmentation, memory, stacking
from keras_frcnn.data.balance import Repeats, repeat_factors
from keras_frcnn.data.order import Order, Position, endless, one_epoch
from keras_frcnn.data.records import is_whole
from keras_frcnn.data.sources import Drawn, Kept


def batches(
    dataset,
    batch_size,
    image_size,
    training,
    seed,
    flip,
    short_sides,
    canvas,
    photometric,
    crop,
    scale_jitter,
    cache,
    repeat,
    first_epoch,
    first_batch,
    balance,
    drop_remainder,
):
    """Make the batches of `DetectionDataset.batches`; see there for the arguments."""
    short, long = image_size = image_ops.checked_image_size(image_size)
    _check_arguments(batch_size, seed, short_sides, scale_jitter, first_epoch, first_batch)
    _check_probabilities(flip=flip, photometric=photometric, crop=crop)
    if not 0 <= balance <= 1:
        raise ValueError(f"balance is {balance}; give a share of the images from 0 (off) to 1.")
    if training and not any((~record.ignore).any() for record in dataset.records):
        ignored = sum(len(record.ignore) for record in dataset.records)
        raise ValueError(
            f"{dataset.name} has no object that counts ({len(dataset)} images, {ignored} ignored objects), "
            "so nothing can be learned from it; check the split and its annotations."
        )
    # With repeat=True the pipeline may run in another process, which cannot see this cache.
    kept, _ = memory.decide(dataset, False if cache is None and repeat else cache)
    keeps_itself = isinstance(dataset.source, Drawn) and dataset.source.keeps
    example_of = _Examples(dataset, Kept(dataset.source) if kept and not keeps_itself else dataset.source)
    side = image_ops.canvas_side(image_size)
    # Landscape and portrait images go to separate batches: less padding, and fewer shapes to trace.
    # The original decides, because a resize may round an almost square image to a square.
    kinds = [not canvas and record.height > record.width for record in dataset.records]
    repeats = None
    if training and balance:
        repeats = Repeats(kinds, repeat_factors(dataset.records, len(dataset.class_names), balance))
    order = Order(kinds, batch_size, seed, training, repeat, repeats, drop_remainder)
    if drop_remainder:
        _check_fills(order, dataset, batch_size)
    position = Position(order, first_epoch, first_batch, movable=not repeat)

    def load(index, seeds, own):
        example, limit = example_of(index, own), short
        if training:
            # Augment before the resize, while an image has a fraction of the bytes.
            example = _perhaps(photometric, seeds + [0, 2], _distorted, example, seeds + [1, 2])
            example = _perhaps(crop, seeds + [0, 3], augmentation.crop, example, seeds + [1, 3])
            example = _perhaps(flip, seeds + [0, 1], augmentation.mirror, example)
            limit = short if short_sides is None else _choice(short_sides, seeds + [1, 0])
        old = tf.shape(example.image)
        new = tf.stack(image_ops.resized_shape(old[0], old[1], (limit, long)))
        room = tf.constant([side, side]) if canvas else round_up(new)
        if training and scale_jitter is not None:
            example, new = augmentation.scale_jitter(example, new, room, scale_jitter, seeds + [1, 4])
        example = _resized(example, new)
        image = image_ops.pad(example.image, room[0], room[1])
        channels = example.image.shape[-1]
        image.set_shape([side, side, channels] if canvas else [None, None, channels])
        x = {"images": image, "image_shapes": new}
        if dataset.proposals is not None:
            x["proposals"] = _at_least_one_row(example.proposals, "proposals")
        y = {name: _at_least_one_row(getattr(example, name), name) for name in ("boxes", "labels", "ignore")}
        return x, y

    def stream(images, shared=False):
        def loaded(index, seeds, number, own):
            return number, (*load(index, seeds, own if shared else None), own)

        stack = stacking.own_rows if shared else stacking.whole
        return images.map(loaded, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True).group_by_window(
            lambda number, example: number,
            lambda number, data: stack(data.map(lambda number, example: example), batch_size),
            window_size_func=lambda number: tf.gather(tf.constant(order.sizes), number),
        )

    def one_batch(epoch, number):
        index, _, numbers = order.images(*tf.constant([epoch, number], tf.int64))
        records = [dataset.records[place] for place in index[numbers == number]]
        alone = one_epoch(Position(order, epoch, number))
        return dataset.class_names, records, lambda: next(iter(stream(alone)))

    within = position.batch > 0

    def made(images, shared=False):
        data = stream(images, shared)
        return (data if repeat or within else _counted(data, len(order.sizes))).prefetch(2)

    data = made(endless(position) if repeat else one_epoch(position))
    if not repeat:
        # For one of several processes that share each batch: its rows of each, with the padding of the whole.
        data.of_part = lambda part, parts: made(one_epoch(position, part, parts), shared=True)
    position.one_batch = one_batch
    labels = np.unique(
        np.concatenate([np.zeros(0, np.int32)] + [record.labels for record in dataset.records])
    )
    position.image_size = image_size
    position.scales = training and (short_sides is not None or scale_jitter is not None)
    position.classes = {int(label): dataset.class_names[label] for label in labels}
    data.position = position  # callbacks read it
    return data


def _counted(data, count):
    """Make the number of elements of a data set known; an iteration may have fewer.

    One that begins within an epoch, after `Position.go_to`, has fewer; `assert_cardinality` would stop there.
    """
    # The length of `take` is known only if its input is endless. TensorFlow takes a choice among data sets
    # for endless if one of them is, so a second one, which is endless and never read, stands beside the data.
    spec = data.element_spec
    blank = tf.nest.map_structure(lambda part: tf.zeros([size or 0 for size in part.shape], part.dtype), spec)
    inputs = [data, tf.data.Dataset.from_tensors(blank).repeat()]
    first = tf.data.Dataset.from_tensors(tf.zeros([], tf.int64)).repeat()
    return tf.data.Dataset.choose_from_datasets(inputs, first, stop_on_empty_dataset=True).take(count)


def originals(dataset):
    """The unchanged images: uint8 `[H, W, 3]`, in record order."""
    data = tf.data.Dataset.range(len(dataset))
    data = data.map(dataset.source.tensor, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
    return data.prefetch(4)


def round_up(size):
    """Round a size, int or int tensor, up to a multiple of `images.SIDE_MULTIPLE`."""
    return -(-size // image_ops.SIDE_MULTIPLE) * image_ops.SIDE_MULTIPLE


def _check_arguments(batch_size, seed, short_sides, scale_jitter, first_epoch, first_batch):
    if not is_whole(batch_size) or batch_size < 1:
        raise ValueError(f"batch_size is {batch_size!r}; give a whole number, at least 1.")
    for name, value in (("seed", seed), ("first_epoch", first_epoch), ("first_batch", first_batch)):
        if value < 0:
            raise ValueError(f"{name} is {value}; give 0 or more.")
    if short_sides is not None and (not len(short_sides) or min(short_sides) < 1):
        raise ValueError(f"short_sides is {short_sides}; give one or more sides of at least 1 pixel.")
    if scale_jitter is not None and not (
        len(scale_jitter) == 2 and 0 < scale_jitter[0] <= scale_jitter[1] < float("inf")
    ):
        raise ValueError(
            f"scale_jitter is {scale_jitter}; give (low, high), two factors above 0 such as (0.1, 2.0)."
        )


def _check_fills(order, dataset, batch_size):
    """Refuse to leave out all images of a kind, because they fill no batch."""
    few = [count for count in order.counts.values() if count < batch_size]
    if few:
        raise ValueError(
            f"{dataset.name} has only {min(few)} images in landscape or in portrait, which fill no batch of "
            f"{batch_size} and would never be seen; give a smaller batch size, or canvas=True (--canvas)."
        )


def _check_probabilities(**probabilities):
    for name, value in probabilities.items():
        if not 0 <= value <= 1:
            raise ValueError(f"{name} is {value}; give a probability from 0 to 1.")


def _choice(values, seeds):
    return tf.constant(list(values))[tf.random.stateless_uniform([], seeds, 0, len(values), tf.int32)]


def _perhaps(probability, seed, augment, example, *arguments):
    """Augment an example with a probability; `augment` uses another seed than this decision."""
    if not probability:
        return example
    chosen = tf.random.stateless_uniform([], seed) < probability
    return tf.cond(chosen, lambda: augment(example, *arguments), lambda: example)


def _distorted(example, seed):
    """`augmentation.photometric`, of an image that may have no channels."""

    def distorted(image):
        return augmentation.photometric(example._replace(image=image), seed).image

    return example._replace(image=_pixels(example.image, distorted, lambda: example.image))


def _pixels(image, function, otherwise):
    """A function of an image; for one without channels, what another function returns."""
    if image.shape[-1] == 3:
        return function(image)
    there = tf.shape(image)[-1] > 0
    return tf.cond(there, lambda: function(tf.ensure_shape(image, [None, None, 3])), otherwise)


def _resized(example, new):
    """Resize an example to a height and width, int32 `[2]`; its image becomes float32."""
    old = tf.shape(example.image)[:2]

    def resized(image):
        # Most sets have one image size; skip the resize if the size is already right.
        same = tf.reduce_all(new == old)
        return tf.cond(same, lambda: tf.cast(image, tf.float32), lambda: image_ops.resize(image, new))

    image = _pixels(example.image, resized, lambda: tf.zeros([new[0], new[1], 0]))
    ratio = tf.gather(tf.cast(new, tf.float32) / tf.cast(old, tf.float32), [1, 0, 1, 0])
    return example._replace(image=image, boxes=example.boxes * ratio, proposals=example.proposals * ratio)


def _at_least_one_row(rows, name):
    """Add a row of padding if there are no rows, so that M and P are at least 1."""
    empty = tf.cast(tf.shape(rows)[0] == 0, tf.int32)
    return tf.pad(
        rows, [[0, empty]] + [[0, 0]] * (rows.shape.rank - 1), constant_values=stacking.PADDING[name]
    )


class _Examples:
    """Unchanged examples, looked up by index inside the graph.

    Called with an index and, if several processes share the batches, whether the image is this one's own.
    """

    def __init__(self, dataset, source):
        records = dataset.records
        nowhere = np.zeros([0, 4], np.float32)
        self.source = source
        self.boxes = _Rows([record.boxes for record in records], nowhere)
        self.labels = _Rows([record.labels for record in records], np.zeros(0, np.int32))
        self.ignore = _Rows([record.ignore for record in records], np.zeros(0, bool))
        self.proposals = _Rows(dataset.proposals or [nowhere] * len(records), nowhere)
        with tf.device("CPU"):
            sizes = [(record.height, record.width) for record in records]
            self.sizes = tf.constant(np.array(sizes, np.int32).reshape(-1, 2))

    def __call__(self, index, own):
        rows = (self.boxes, self.labels, self.ignore, self.proposals)
        image = self.source.tensor(index) if own is None else self._where(own, index)
        return augmentation.Example(image, *(part(index) for part in rows))

    def _where(self, own, index):
        """An image if it is this process's own; otherwise one without channels, for its size alone.

        The size decides the padding of the batch.
        """
        size = self.sizes[index]
        return tf.cond(
            own, lambda: self.source.tensor(index), lambda: tf.zeros([size[0], size[1], 0], tf.uint8)
        )


class _Rows:
    """Arrays, one per record, in one flat tensor; a slice in the graph returns the rows of a record."""

    def __init__(self, arrays, empty):
        # `empty` sets the type if there are no records. A GPU has no use for these tensors.
        with tf.device("CPU"):
            self.splits = tf.constant(np.cumsum([0] + [len(array) for array in arrays]), tf.int64)
            self.values = tf.constant(np.concatenate([empty, *arrays]), empty.dtype)

    def __call__(self, index):
        return self.values[self.splits[index] : self.splits[index + 1]]
