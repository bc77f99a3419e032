"""Show the images of rare classes more often: repeat factor sampling.

Gupta, Dollár, Girshick: "LVIS: A Dataset for Large Vocabulary Instance Segmentation", 2019.
Letters: N images, K classes, T images of an epoch, with repeats.
"""

import numpy as np
import tensorflow as tf

# Fractions are counted in these units, so that whole numbers decide, without rounding errors.
UNITS = 2**20


def repeat_factors(records, class_count, threshold):
    """How often an epoch shows each image, on average.

    A class that a share f of the images have gets the factor `max(1, sqrt(threshold / f))`; an image gets the
    largest factor of its classes. Ignored objects do not count.

    Args:
        records: list of N `Record`.
        class_count: int, K.
        threshold: share of the images below which a class is rare, above 0 to 1.

    Returns:
        float64 `[N]`, 1 or more.

    Example:
        >>> scenes = keras_frcnn.data.load("shapes@val")
        >>> float(repeat_factors(scenes.records, 6, 0.001).max())
        1.0
    """
    present = [np.unique(record.labels[~record.ignore]) for record in records]
    images = np.bincount(np.concatenate([np.zeros(0, np.int64), *present]), minlength=class_count)
    of_class = np.sqrt(np.maximum(threshold * len(records) / np.maximum(images, 1), 1.0))
    return np.array([of_class[labels].max(initial=1.0) for labels in present])


class Repeats:
    """Draw how often each image of an epoch comes; the number of images of each kind is always the same.

    An image with the factor 2.3 comes twice, and a third time with the probability 0.3. The total of a kind
    is rounded, and its fractions are scaled to make up for that.

    Args:
        kinds: int array `[N]`.
        factors: float array `[N]`, 1 or more.
    """

    def __init__(self, kinds, factors):
        self.kinds, self.whole = np.asarray(kinds, np.int64), np.floor(factors).astype(np.int64)
        self.fractions = np.round((factors - self.whole) * UNITS).astype(np.int64)

    def total(self, kind):
        """Number of images of a kind in an epoch: int."""
        return int(self.whole[self.kinds == kind].sum()) + self._more(kind)

    def shuffled(self, seed):
        """The images of an epoch in a random order; runs in a graph.

        Args:
            seed: int64 `[2]`.

        Returns:
            int64 `[T]`, indices of images.
        """
        draw_seed, start_seed, order_seed = tf.unstack(tf.random.split(seed, 3))
        parts = [tf.repeat(tf.range(len(self.kinds), dtype=tf.int64), tf.constant(self.whole))]
        for kind in np.unique(self.kinds):
            own, more = np.flatnonzero(self.kinds == kind), self._more(kind)
            if not more:
                continue
            # Systematic sampling: the images lie in a random order on a ruler, each as long as its fraction,
            # and are taken where marks at equal distances fall on them.
            all_of_it = int(self.fractions[own].sum())
            line = tf.random.experimental.stateless_shuffle(tf.constant(own), draw_seed)
            start = tf.random.stateless_uniform([], start_seed, maxval=all_of_it, dtype=tf.int64)
            ends = tf.cumsum(tf.gather(tf.constant(self.fractions), line)) * more + start
            marks = tf.concat([[0], ends], 0) // all_of_it
            parts.append(tf.repeat(line, marks[1:] - marks[:-1]))
        return tf.random.experimental.stateless_shuffle(tf.concat(parts, 0), order_seed)

    def _more(self, kind):
        """Number of images of a kind beyond the whole part of their factors."""
        return int(np.round(self.fractions[self.kinds == kind].sum() / UNITS))
