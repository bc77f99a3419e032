"""Bilinear samples by plain reads, in static shapes and any float dtype, which XLA can compile.

Letters: B images, L maps, H and W their cells, C channels, N grids of Y × X points.
"""

import tensorflow as tf


def bilinear_reads(features, y, x, image, level):
    """Sample maps at grids of points; the gradient reaches the maps.

    Args:
        features: list of L maps `[B, H, W, C]`.
        y, x: float32 `[N, Y]` and `[N, X]`, rows and columns of each grid, cells, the middle of the first
            cell at 0. A point within one cell of the map reads its edge; farther out it is 0.
        image, level: int32 `[N]`, the image and the map of each grid.

    Returns:
        float32 `[N, Y, X, C]`.
    """
    # int64 throughout: TensorFlow keeps int32 arithmetic of a GPU on the host.
    shapes = tf.stack([tf.shape(feature, out_type=tf.int64)[:3] for feature in features])
    starts = tf.cumsum(tf.reduce_prod(shapes, axis=1), exclusive=True)
    height, width = (tf.gather(shapes[:, axis], level) for axis in (1, 2))
    start = tf.gather(starts, level) + tf.cast(image, tf.int64) * height * width
    rows, columns = _neighbours(y, height), _neighbours(x, width)

    table = tf.concat([tf.reshape(feature, [-1, feature.shape[-1]]) for feature in features], axis=0)
    cells, weights = [], []
    for row, row_weight in rows:
        for column, column_weight in columns:
            cells.append(start[:, None, None] + row[:, :, None] * width[:, None, None] + column[:, None, :])
            weights.append((row_weight[:, :, None] * column_weight[:, None, :])[..., None])
    return _weighted_reads(table, cells, weights)


def _neighbours(position, size):
    """The two cells that a point lies between, along one axis, each with its weight.

    Args:
        position: float32 `[N, P]`, cells.
        size: int64 `[N]`, cells of the map.

    Returns:
        Two pairs of int64 `[N, P]` and float32 `[N, P]`.
    """
    size = size[:, None]
    limit = tf.cast(size, tf.float32)
    inside = (position >= -1.0) & (position <= limit)
    position = tf.where(inside, tf.clip_by_value(position, 0.0, limit - 1.0), 0.0)  # NaN is no cell either
    first = tf.floor(position)
    fraction = position - first
    first, share = tf.cast(first, tf.int64), tf.cast(inside, tf.float32)
    return (first, (1.0 - fraction) * share), (tf.minimum(first + 1, size - 1), fraction * share)


def _weighted_reads(table, cells, weights):
    """Σ weight · table[cell], `[..., C]` float32; the table may be of half precision."""

    @tf.custom_gradient
    def read(table):
        def gradient(upstream):
            # In float32, for half precision loses small terms of a sum over many RoIs; one sum after the
            # other into the same memory, for all at once would be four times the samples.
            total = tf.zeros(tf.shape(table))
            for cell, weight in zip(cells, weights):
                total = tf.tensor_scatter_nd_add(total, cell[..., None], weight * upstream)
            return tf.cast(total, table.dtype)

        terms = [weight * tf.cast(tf.gather(table, cell), tf.float32) for cell, weight in zip(cells, weights)]
        return tf.add_n(terms), gradient

    return read(table)
