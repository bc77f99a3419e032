"""Work on the RoIs of each feature map, and put the results back in order.

Letters: N RoIs, n RoIs of one map.
"""

import functools
from collections.abc import Callable

import tensorflow as tf

from keras_frcnn.ops import kernels


def each_level(pool: Callable, level, count: int):
    """Pool every RoI from its own map.

    Args:
        pool: function from the index of a map and a function `rows` to float `[n, ...]`; `rows` takes the
            rows of this map from a tensor `[N, ...]`.
        level: int32 `[N]`, the map of each RoI.
        count: number of maps.

    Returns:
        `[N, ...]`. Where XLA compiles, every map is read for all RoIs, because how many belong to a map is no
        static shape.
    """
    if count == 1:
        return pool(0, _all)
    if kernels.for_xla():
        pooled = pool(0, _all)
        for index in range(1, count):
            own = tf.reshape(level == index, [-1] + [1] * (pooled.shape.rank - 1))
            pooled = tf.where(own, pool(index, _all), pooled)
        return pooled
    rows = [tf.where(level == index)[:, 0] for index in range(count)]
    pooled = [pool(index, functools.partial(tf.gather, indices=row)) for index, row in enumerate(rows)]
    return tf.gather(tf.concat(pooled, axis=0), tf.argsort(tf.concat(rows, axis=0)))


def _all(values):
    return values
