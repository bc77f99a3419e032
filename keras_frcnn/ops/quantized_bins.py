"""Bins of whole cells and their maxima; the gradient goes to the cell of each maximum.

Every bin is a rectangle. Its maximum is the largest of four overlapping windows of 2^p × 2^q cells: four
reads from tables of such windows, more if the bin is huge.

Letters: B images, N RoIs, P bins per side, T = P² bins of an RoI, C channels.
"""

import functools

import numpy as np
import tensorflow as tf

SIDES = np.array([1, 2, 4, 8])  # sides of the windows in the tables
COUNTS = (2, 4)  # numbers of these sides to choose from


def _overlapping(start, end, count):
    """First and past-the-last cell of "overlapping" bins of `start` to `end`: int64 `[N, 2, count]`."""
    start, index = start[:, None], tf.range(count, dtype=tf.int64)
    size = tf.maximum(end[:, None] - start + 1, 1)
    first = index * size // count
    past = -(-(index + 1) * size // count)
    return tf.stack([start + first, start + past], axis=1)


def _partition(start, end, count):
    """First and past-the-last cell of "partition" bins of `start` to `end`: int64 `[N, 2, count]`."""
    start, index = start[:, None], tf.range(count, dtype=tf.int64)
    size = tf.maximum(end[:, None] - start + 1, 1)
    first = tf.where(size < count, index * size // count, index * (size // count))
    past = tf.maximum(tf.concat([first[:, 1:], size], axis=1), first + 1)
    return tf.stack([start + first, start + past], axis=1)


RULES = {"overlapping": _overlapping, "partition": _partition}


def _region(low, high, count, corners, offset):
    """First and last cell of regions along one axis: int64, `[N]` each.

    Args:
        low, high: float32 `[N]`, the ends of the regions, in cells.
        count: int64, cells of the map.
        corners, offset: see `QuantizedBins`.
    """
    if corners == "inclusive":
        return _round(low), _round(high)
    if corners == "half_open":
        return _round(low), _round(high) - 1
    first = tf.cast(tf.floor(low - offset), tf.int64) + 1
    last = tf.cast(tf.math.ceil(high - offset), tf.int64) - 1
    # A region that lies between two centers gets the cell of one of them.
    middle = (first + last) // 2
    return tuple(
        tf.clip_by_value(tf.where(first > last, middle, edge), 0, count - 1) for edge in (first, last)
    )


class QuantizedBins:
    """The bins of RoIs on one map.

    Args:
        feature: `[B, H, W, C]`; only its shape is used.
        boxes: float32 `[N, 4]`, pixels.
        image: int32 `[N]`, the image of each box.
        stride: pixels between the cells of the map.
        pool_size: P, bins along each side of an RoI.
        rule: "overlapping" or "partition", see `ExactRoIPooling`.
        corners: "inclusive" or "half_open", see `ExactRoIPooling`; or "centers", see
            `SpatialPyramidPooling`.
        offset: for "centers", see `SpatialPyramidPooling`.
    """

    def __init__(
        self, feature, boxes, image, stride, pool_size, rule="overlapping", corners="inclusive", offset=0.5
    ):
        # Use int64: TensorFlow places int32 arithmetic on the host even with a GPU.
        shape = tf.shape(feature, out_type=tf.int64)
        x1, y1, x2, y2 = tf.unstack(boxes / float(stride), axis=-1)
        first, last = _region(y1, y2, shape[1], corners, offset)
        rows = RULES[rule](first, last, pool_size)
        first, last = _region(x1, x2, shape[2], corners, offset)
        columns = RULES[rule](first, last, pool_size)
        rows = tf.clip_by_value(rows, 0, shape[1])
        columns = tf.clip_by_value(columns, 0, shape[2])
        top, bottom = tf.unstack(tf.repeat(rows, pool_size, axis=2), axis=1)
        left, right = tf.unstack(tf.tile(columns, [1, 1, pool_size]), axis=1)
        self.pool_size = pool_size
        self.row = shape[2]
        self.filled = (bottom > top) & (right > left)
        self.corner = (tf.cast(image, tf.int64)[:, None] * shape[1] + top) * shape[2] + left
        self.height, self.width = (tf.where(self.filled, size, 1) for size in (bottom - top, right - left))

    def largest(self, cells):
        """The largest number in each bin.

        Args:
            cells: `[B·H·W, C]`, any numbers.

        Returns:
            `[N, P, P, C]`, `cells.dtype.min` where a bin has no cells.
        """
        # Larger windows need more tables, smaller ones more reads: choose what touches the fewest cells.
        plans = [self._plan(count) for count in COUNTS]
        total, bins = tf.shape(cells, out_type=tf.int64)[0], tf.size(self.corner, out_type=tf.int64)
        costs = [count**2 * total + down * across * bins for count, (*_, down, across) in zip(COUNTS, plans)]
        best = tf.switch_case(
            tf.argmin(tf.cast(tf.stack(costs), tf.float32), output_type=tf.int32),
            [functools.partial(self._read, cells, count, *plan) for count, plan in zip(COUNTS, plans)],
        )
        return tf.reshape(best, [-1, self.pool_size, self.pool_size, cells.shape[-1]])

    def _plan(self, count):
        """Table and window of each bin, out of `count` sides, and how many windows cover the largest bin."""
        p, q = (
            tf.reduce_sum(tf.cast(size[..., None] >= SIDES[1:count], tf.int64), axis=-1)
            for size in (self.height, self.width)
        )
        high, wide = tf.gather(SIDES, p), tf.gather(SIDES, q)
        down, across = (
            tf.maximum(tf.reduce_max(-(-size // side)), 1)  # without RoIs there is no maximum
            for size, side in ((self.height, high), (self.width, wide))
        )
        return p * count + q, high, wide, down, across

    def _read(self, cells, count, table, high, wide, down, across):
        nothing = tf.fill([1, cells.shape[-1]], tf.constant(cells.dtype.min, cells.dtype))
        tables = [*self._tables(cells, count), nothing]
        starts = tf.cumsum([tf.shape(one, out_type=tf.int64)[0] for one in tables], exclusive=True)
        place = tf.where(self.filled, tf.gather(starts, table) + self.corner, starts[-1])
        tables = tf.concat(tables, axis=0)

        def read_next(index, best):
            y = tf.minimum(index // across * high, self.height - high)
            x = tf.minimum(index % across * wide, self.width - wide)
            # Avoid place + y · row + x: Grappler turns it into an AddN and, when memory is short, into a
            # temporary variable that still exists at the next call of the loop.
            cell = tf.reduce_sum(tf.stack([place, y * self.row, x]), axis=0)
            return index + 1, tf.maximum(best, tf.gather(tables, cell))

        state = tf.constant(1, tf.int64), tf.gather(tables, place)
        return tf.while_loop(lambda index, _: index < down * across, read_next, state)[1]

    def _tables(self, cells, count):
        """Maxima of windows: a list for `count` heights × `count` widths, the width changing fastest.

        Cells form one line, `row` of them in a row of the map; a window has the number of its first cell.
        Windows that leave the map hold garbage and are never read, so slices need neither copies nor padding.
        """
        line = [cells]
        for side in SIDES[: count - 1]:
            line.append(_widen(line[-1], side))
        tables = list(line)
        for side in SIDES[: count - 1]:
            line = [_widen(table, side * self.row) for table in line]
            tables += line
        return tables


def maxima(feature, search):
    """Maxima of bins; the gradient goes to the first of the largest cells in row-major order.

    Args:
        feature: `[B, H, W, C]`, floats.
        search: function from `[B·H·W, C]` numbers to the largest in each bin, `[..., C]`; the dtype's lowest
            number where a bin has no cells.

    Returns:
        `[..., C]`, dtype of the map; 0 for a bin without cells.
    """

    @tf.custom_gradient
    def read(cells):
        best = search(cells)

        def gradient(upstream):
            keys = search(_keys(cells))
            cell = tf.bitwise.bitwise_and(-keys, 2**32 - 1)
            place = cell * cells.shape[-1] + tf.range(cells.shape[-1], dtype=tf.int64)
            # Sum in float32: half precision loses small terms over many RoIs.
            terms = tf.where(keys == keys.dtype.min, 0.0, tf.cast(upstream, tf.float32))
            total = tf.math.unsorted_segment_sum(terms, place, tf.size(cells, out_type=tf.int64))
            return tf.cast(tf.reshape(total, tf.shape(cells)), cells.dtype)

        return tf.where(best == best.dtype.min, tf.zeros([], best.dtype), best), gradient

    return read(tf.reshape(feature, [-1, feature.shape[-1]]))


def _round(x):
    """Round to int64, halves away from zero as in C; tf.round rounds halves to even numbers."""
    size = tf.abs(x)
    whole = tf.floor(size)
    nearest = tf.where(size - whole < 0.5, whole, whole + 1.0)
    return tf.cast(tf.sign(x) * nearest, tf.int64)


def _keys(cells):
    """Keys that are ordered like the values; among equal values, earlier cells have larger keys.

    Args:
        cells: `[B·H·W, C]`, floats.

    Returns:
        int64 `[B·H·W, C]`: the value in the upper 32 bits, minus the number of its cell.
    """
    bits = tf.cast(tf.bitcast(tf.cast(cells, tf.float32), tf.int32), tf.int64)
    # The bits of a float are sign and magnitude; turn them into integers of the same order.
    order = tf.where(bits < 0, -(2**31) - bits, bits)
    return order * 2**32 - tf.range(tf.shape(order, out_type=tf.int64)[0])[:, None]


def _widen(table, distance):
    """Join each window with the one `distance` cells after it."""
    return tf.maximum(table[:-distance], table[distance:])
