"""Sources of pixels: small classes with the same two methods.

`image(index)` returns NumPy uint8 `[H, W, 3]`; `tensor(index)` returns the same as a tensor inside tf.data.
"""

import bisect
import itertools
import os

import numpy as np
import tensorflow as tf

from keras_frcnn import images as image_ops


class Files:
    """Images in one file each; `paths` lists the files."""

    def __init__(self, paths):
        self.paths = [str(path) for path in paths]
        self._tensor = tf.constant([os.fsencode(path) for path in self.paths], tf.string)

    def __len__(self):
        return len(self.paths)

    def image(self, index):
        return image_ops.read(self.paths[index])

    def tensor(self, index):
        path = self._tensor[index]
        return decode_or_name(tf.io.read_file(path), path)


class Drawn:
    """Images drawn by a function of the index.

    Args:
        draw: function from an index to NumPy uint8 `[H, W, 3]`.
        count: int, number of images.
        keeps: whether `draw` itself keeps its images in memory.
    """

    def __init__(self, draw, count, keeps=False):
        self.image = draw
        self.keeps = keeps
        self._count = count

    def __len__(self):
        return self._count

    def tensor(self, index):
        image = tf.numpy_function(self.image, [index], tf.uint8)
        return tf.ensure_shape(image, [None, None, 3])


class Joined:
    """The images of several sources, one after another."""

    def __init__(self, sources):
        self.sources = list(sources)
        self.starts = [0, *itertools.accumulate(len(source) for source in self.sources)]

    def __len__(self):
        return self.starts[-1]

    def image(self, index):
        which = bisect.bisect_right(self.starts, index) - 1
        return self.sources[which].image(index - self.starts[which])

    def tensor(self, index):
        which = tf.reduce_sum(tf.cast(index >= tf.cast(self.starts[1:], index.dtype), tf.int32))
        branches = [
            lambda source=source, start=start: source.tensor(index - start)
            for source, start in zip(self.sources, self.starts)
        ]
        return tf.switch_case(which, branches)


class Kept:
    """The images of another source, each kept in memory after its first use."""

    def __init__(self, source):
        self.source = source
        self._images = {}
        self._nothing = np.zeros([0, 0, 3], np.uint8)

    def __len__(self):
        return len(self.source)

    def image(self, index):
        return self._known(index) if index in self._images else self._keep(index, self.source.image(index))

    def tensor(self, index):
        known = tf.ensure_shape(tf.numpy_function(self._known, [index], tf.uint8), [None, None, 3])

        # Decode in the graph: decoding under Python's lock would block the other images.
        def decoded():
            image = self.source.tensor(index)
            return tf.ensure_shape(tf.numpy_function(self._keep, [index, image], tf.uint8), image.shape)

        return tf.cond(tf.size(known) > 0, lambda: known, decoded)

    def _known(self, index):
        return self._images.get(int(index), self._nothing)

    def _keep(self, index, image):
        # Copy, because TensorFlow may reuse the memory.
        kept = self._images[int(index)] = np.array(image)
        kept.flags.writeable = False
        return kept


def decode_or_name(contents, name):
    """Decode inside tf.data; the error for bytes that are not an image names the file.

    Args:
        contents: scalar string tensor, the encoded image.
        name: scalar string tensor, the file name.

    Returns:
        uint8 `[H, W, 3]`, upright.
    """
    image = image_ops.decode_or_empty(contents)
    before, after = image_ops.undecodable("\0", of_set=True).split("\0")
    with tf.control_dependencies(
        [tf.debugging.Assert(tf.size(image) > 0, [tf.strings.join([before, name, after])])]
    ):
        return tf.ensure_shape(tf.identity(image), [None, None, 3])


class Subset:
    """Some images of a source.

    Args:
        source: the other source.
        indices: list of int, the places of the images there.
    """

    def __init__(self, source, indices):
        self.source, self.indices = source, list(indices)
        self._tensor = tf.constant(self.indices, tf.int64)

    def __len__(self):
        return len(self.indices)

    def image(self, index):
        return self.source.image(self.indices[index])

    def tensor(self, index):
        return self.source.tensor(self._tensor[index])
