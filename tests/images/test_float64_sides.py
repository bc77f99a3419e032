"""Integers and tables give the sides that float64 arithmetic gives."""

import numpy as np
import pytest

from keras_frcnn.images import float64_sides


@pytest.mark.parametrize("short, long", [(320, 640), (800, 1333)])
def test_equals_float64(short, long):
    random = np.random.default_rng(0)
    # Half of the sides are multiples of one another's divisors, where quotients are whole numbers.
    shared = random.integers(1, 60, 50_000)
    sides = np.concatenate(
        [random.integers(1, 5000, (50_000, 2)), shared[:, None] * random.integers(1, 80, (50_000, 2))]
    )
    small, large = sides.min(axis=1), sides.max(axis=1)
    factor = np.minimum(short / small, long / large)
    expected = np.floor(sides * factor[:, None])

    fits = large * short <= long * small
    target, base = np.where(fits, short, long)[:, None], np.where(fits, small, large)[:, None]
    lacks = np.where(
        fits, float64_sides.shortfalls(short)[base[:, 0]], float64_sides.shortfalls(long)[base[:, 0]]
    )
    quotients = sides * target // base
    whole = quotients * base == sides * target
    exceeds = lacks[:, None] * sides.astype(np.float32) > float64_sides.bounds(long)[quotients]
    np.testing.assert_array_equal(quotients - (whole & exceeds), expected)
    assert (quotients != expected).any(axis=1).sum() > 500
