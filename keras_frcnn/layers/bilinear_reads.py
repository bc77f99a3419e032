"""Bilinear samples of feature maps, and their means, with a gradient that loses nothing.

TensorFlow's crop_and_resize gives the same samples, but where boxes overlap the threads of its gradient
overwrite each other's sums: on two cores a few per cent of it are lost.

Letters: B images, L maps, H and W their cells, C channels, N grids of Y × X points, S points of a mean.
"""

import tensorflow as tf

from keras_frcnn import kernels


def bilinear_reads(features, y, x, image, level, samples=1):
    """Sample maps at grids of points; the gradient reaches the maps.

    Args:
        features: list of L maps `[B, H, W, C]`.
        y, x: float32 `[N, Y]` and `[N, X]`, rows and columns of each grid, cells, the middle of the first
            cell at 0. A point within one cell of the map reads its edge; farther out it is 0.
        image, level: int32 `[N]`, the image and the map of each grid.
        samples: S; the mean of each S × S points is returned in place of the points.

    Returns:
        float32 `[N, Y / S, X / S, C]`.
    """
    # int64 throughout: TensorFlow keeps int32 arithmetic of a GPU on the host.
    shapes = tf.stack([tf.shape(feature, out_type=tf.int64)[:3] for feature in features])
    starts = tf.cumsum(tf.reduce_prod(shapes, axis=1), exclusive=True)
    height, width = (tf.gather(shapes[:, axis], level) for axis in (1, 2))
    start = tf.gather(starts, level) + tf.cast(image, tf.int64) * height * width
    rows, columns = _neighbours(y, height), _neighbours(x, width)
    rows = [(start[:, None] + row * width[:, None], weight) for row, weight in rows]

    table = tf.concat([tf.reshape(feature, [-1, feature.shape[-1]]) for feature in features], axis=0)
    if kernels.for_gathers():
        return _gathered(table, rows, columns, samples)
    return _multiplied(table, rows, columns, samples)


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


def _multiplied(table, rows, columns, samples):
    """The means as a sparse matrix, a row for each mean, times the table; float32, for a CPU."""
    (row, row_weight), (column, column_weight) = (_terms(axis, samples) for axis in (rows, columns))
    cells = row[:, :, None, :, None] + column[:, None, :, None, :]
    weights = row_weight[:, :, None, :, None] * column_weight[:, None, :, None, :] / samples**2
    count = tf.reduce_prod(tf.shape(cells, out_type=tf.int64)[:3])
    each = (2 * samples) ** 2
    places = tf.stack([tf.repeat(tf.range(count), each), tf.reshape(cells, [-1])], axis=1)
    size = tf.stack([count, tf.shape(table, out_type=tf.int64)[0]])
    matrix = tf.raw_ops.SparseTensorToCSRSparseMatrix(
        indices=places, values=tf.reshape(weights, [-1]), dense_shape=size
    )

    @tf.custom_gradient
    def product(table):
        def gradient(upstream):
            # Transposed beforehand, so that threads share out the cells, and no two add to the same.
            transposed = tf.raw_ops.SparseMatrixTranspose(input=matrix, type=tf.float32)
            return tf.raw_ops.SparseMatrixMatMul(a=transposed, b=upstream)

        return tf.raw_ops.SparseMatrixMatMul(a=matrix, b=table), gradient

    means = product(tf.cast(table, tf.float32))
    return tf.reshape(means, [-1, *cells.shape[1:3], table.shape[-1]])


def _terms(axis, samples):
    """The cells and the weights of a bin's points along one axis: two of `[N, Y / S, 2 · S]`."""
    for pair in zip(*axis):
        terms = tf.stack(pair, axis=-1)
        yield tf.reshape(terms, [tf.shape(terms)[0], terms.shape[1] // samples, 2 * samples])


def _gathered(table, rows, columns, samples):
    """The means by gathers, in static shapes, which XLA can compile; the table may be of half precision."""
    cells, weights = [], []
    for row, row_weight in rows:
        for column, column_weight in columns:
            cells.append(row[:, :, None] + column[:, None, :])
            weights.append((row_weight[:, :, None] * column_weight[:, None, :])[..., None])
    points = _weighted_reads(table, cells, weights)
    return points if samples == 1 else tf.nn.avg_pool2d(points, samples, samples, "VALID")


def _weighted_reads(table, cells, weights):
    """Σ weight · table[cell], `[..., C]` float32."""

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
