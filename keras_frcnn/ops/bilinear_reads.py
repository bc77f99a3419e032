"""Bilinear samples of feature maps and their means, with an exact gradient.

TensorFlow's crop_and_resize gives the same samples, but the threads of its gradient overwrite each other's
sums where boxes overlap: on two cores, a few percent are lost. This module does not use that gradient.

Letters: B images, L maps, H and W their cells, C channels, N grids of Y × X points, means of S × S points.
"""

import tensorflow as tf

from keras_frcnn import _compat
from keras_frcnn.ops import kernels


def bilinear_reads(features, y, x, image, level, samples=1):
    """Sample maps at grids of points, with a gradient to the maps.

    Args:
        features: list of L maps `[B, H, W, C]`.
        y, x: float32 `[N, Y]` and `[N, X]`, rows and columns of each grid, in cells; the middle of the first
            cell is at 0. A point within one cell of the map reads its edge; farther out it reads 0.
        image, level: int32 `[N]`, the image and the map of each grid.
        samples: S; each S × S points are replaced by their mean.

    Returns:
        float32 `[N, Y / S, X / S, C]`.
    """
    # Use int64: TensorFlow places int32 arithmetic on the host even with a GPU.
    shapes = tf.stack([tf.shape(feature, out_type=tf.int64)[:3] for feature in features])
    starts = tf.cumsum(tf.reduce_prod(shapes, axis=1), exclusive=True)
    height, width = (tf.gather(shapes[:, axis], level) for axis in (1, 2))
    start = tf.gather(starts, level) + tf.cast(image, tf.int64) * height * width
    rows, columns = _neighbors(y, height), _neighbors(x, width)
    rows = [(start[:, None] + row * width[:, None], weight) for row, weight in rows]

    table = tf.concat([tf.reshape(feature, [-1, feature.shape[-1]]) for feature in features], axis=0)
    if kernels.for_gathers():
        return _gathered(table, rows, columns, samples)
    return _multiplied(table, rows, columns, samples)


def _neighbors(position, size):
    """The two cells around each point along one axis, with their weights.

    Args:
        position: float32 `[N, P]`, cells.
        size: int64 `[N]`, cells of the map.

    Returns:
        Two pairs of cells, int64 `[N, P]`, and weights, float32 `[N, P]`.
    """
    size = size[:, None]
    limit = tf.cast(size, tf.float32)
    inside = (position >= -1.0) & (position <= limit)
    position = tf.where(inside, tf.clip_by_value(position, 0.0, limit - 1.0), 0.0)  # NaN counts as outside
    first = tf.floor(position)
    fraction = position - first
    first, share = tf.cast(first, tf.int64), tf.cast(inside, tf.float32)
    return (first, (1.0 - fraction) * share), (tf.minimum(first + 1, size - 1), fraction * share)


def bilinear_crops(feature, y, x, image):
    """Sample one map at grids of evenly spaced points with crop_and_resize, which XLA cannot compile.

    Args:
        feature: `[B, H, W, C]`.
        y, x, image: see `bilinear_reads`.

    Returns:
        float32 `[N, Y, X, C]`, equal to those of `bilinear_reads`.
    """
    # Pad to at least one grid: TensorFlow crashes on a sparse matrix without rows.
    count = tf.shape(image)[0]
    missing = [[0, tf.maximum(1 - count, 0)]]
    y, x, image = tf.pad(y, [*missing, [0, 0]]), tf.pad(x, [*missing, [0, 0]]), tf.pad(image, missing)
    batch, height, width = tf.unstack(tf.shape(feature, out_type=tf.int64)[:3])
    start = tf.cast(image, tf.int64)[:, None] * height * width
    rows, columns = _neighbors(y, height[None]), _neighbors(x, width[None])
    rows = [(start + row * width, weight) for row, weight in rows]
    by_scattering = kernels.for_gathers()

    @tf.custom_gradient
    def crop(feature):
        def gradient(upstream):
            if by_scattering:
                cells, weights = _corners(rows, columns)
                flat = _scattered([batch * height * width, feature.shape[-1]], cells, weights, upstream)
            else:
                matrix, _ = _matrix(rows, columns, 1, batch * height * width)
                flat = _taken_back(matrix, tf.reshape(upstream, [-1, feature.shape[-1]]))
            return tf.cast(tf.reshape(flat, tf.shape(feature)), feature.dtype)

        # Repeat the outermost cells as a border: crop_and_resize reads zeros beyond the map.
        padded = tf.pad(tf.cast(feature, tf.float32), [[0, 0], [1, 1], [1, 1], [0, 0]], "SYMMETRIC")
        ends = [y[:, 0], x[:, 0], y[:, -1], x[:, -1]]
        last = tf.cast(tf.stack([height, width, height, width]) + 1, tf.float32)
        boxes = (tf.stack(ends, axis=1) + 1.0) / last
        boxes = tf.where(tf.math.is_finite(boxes), boxes, -1.0)
        return tf.image.crop_and_resize(padded, boxes, image, [y.shape[1], x.shape[1]]), gradient

    # Use tf.slice: unlike [:], its gradient makes no copy when nothing is cut.
    return tf.slice(crop(feature), [0, 0, 0, 0], [count, y.shape[1], x.shape[1], feature.shape[-1]])


def _multiplied(table, rows, columns, samples):
    """Compute the means, float32, as a sparse matrix with one row per mean times the table; fast on a CPU."""
    matrix, shape = _matrix(rows, columns, samples, tf.shape(table, out_type=tf.int64)[0])

    @tf.custom_gradient
    def product(table):
        def gradient(upstream):
            return _taken_back(matrix, upstream)

        return tf.raw_ops.SparseMatrixMatMul(a=matrix, b=table), gradient

    means = product(tf.cast(table, tf.float32))
    return tf.reshape(means, [-1, *shape, table.shape[-1]])


def _matrix(rows, columns, samples, cells):
    """The sparse matrix from a table of `cells` rows to the means, and their shape `(Y / S, X / S)`."""
    (row, row_weight), (column, column_weight) = (_terms(axis, samples) for axis in (rows, columns))
    terms = row[:, :, None, :, None] + column[:, None, :, None, :]
    weights = row_weight[:, :, None, :, None] * column_weight[:, None, :, None, :] / samples**2
    count = tf.reduce_prod(tf.shape(terms, out_type=tf.int64)[:3])
    places = tf.stack([tf.repeat(tf.range(count), (2 * samples) ** 2), tf.reshape(terms, [-1])], axis=1)
    matrix = tf.raw_ops.SparseTensorToCSRSparseMatrix(
        indices=places, values=tf.reshape(weights, [-1]), dense_shape=tf.stack([count, cells])
    )
    return matrix, terms.shape[1:3]


def _taken_back(matrix, upstream):
    """Gradient of a product with a sparse matrix: the transposed matrix times the upstream gradient."""
    # Transpose first, so that each thread has its own cells and no two add to the same one.
    transposed = tf.raw_ops.SparseMatrixTranspose(input=matrix, type=tf.float32)
    return tf.raw_ops.SparseMatrixMatMul(a=transposed, b=upstream)


def _terms(axis, samples):
    """Yield the cells and the weights of each bin's points along one axis, both `[N, Y / S, 2 · S]`."""
    for pair in zip(*axis):
        terms = tf.stack(pair, axis=-1)
        yield tf.reshape(terms, [tf.shape(terms)[0], terms.shape[1] // samples, 2 * samples])


def _gathered(table, rows, columns, samples):
    """Compute the means with gathers in static shapes, which XLA can compile, also in half precision."""
    points = _weighted_reads(table, *_corners(rows, columns))
    return points if samples == 1 else tf.nn.avg_pool2d(points, samples, samples, "VALID")


def _corners(rows, columns):
    """Lists of the four cells `[N, Y, X]` around each point and of their weights `[N, Y, X, 1]`."""
    pairs = [(row, column) for row in rows for column in columns]
    cells = [row[:, :, None] + column[:, None, :] for (row, _), (column, _) in pairs]
    weights = [(high[:, :, None] * wide[:, None, :])[..., None] for (_, high), (_, wide) in pairs]
    return cells, weights


def _weighted_reads(table, cells, weights):
    """Σ weight · table[cell], `[..., C]` float32."""

    @tf.custom_gradient
    def read(table):
        def gradient(upstream):
            return tf.cast(_scattered(tf.shape(table), cells, weights, upstream), table.dtype)

        terms = [weight * tf.cast(tf.gather(table, cell), tf.float32) for cell, weight in zip(cells, weights)]
        return tf.add_n(terms), gradient

    return read(table)


def _scattered(shape, cells, weights, upstream):
    """Σ weight · upstream at each cell of a table of this shape, float32."""
    # Sum in float32: half precision loses small terms over many RoIs. Add one corner at a time into the
    # same memory: all at once would take four times the memory of the samples.
    total = tf.zeros(shape)
    for cell, weight in zip(cells, weights):
        if _compat.deterministic():
            # A deterministic scatter leaves the GPU for the host; sums of segments stay.
            total += tf.math.unsorted_segment_sum(weight * upstream, cell, tf.shape(total)[0])
        else:
            total = tf.tensor_scatter_nd_add(total, cell[..., None], weight * upstream)
    return total
