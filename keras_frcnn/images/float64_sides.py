"""Sides after a resize by a float64 factor, for runtimes that have no float64.

`resized_shape` with the rounding "float64" takes floor(side · fl(target / base)), with fl the rounding to
float64. It differs from the exact quotient in one case only: the quotient is a whole number v, and the
product falls short of it by more than half of the distance to the next smaller float64.
"""

import fractions

import numpy as np

# Images with a longer side are resized exactly.
LARGEST = 16384


def shortfalls(target: int) -> np.ndarray:
    """Compute what float64 factors lack, for every side that the target is divided by.

    Args:
        target: side that an image is resized to, pixels.

    Returns:
        float32 `[LARGEST + 1]`: (target / base − fl(target / base)) · 2⁵⁴ by base; 0 for base 0.
    """
    exact = [fractions.Fraction(target, base) for base in range(1, LARGEST + 1)]
    lacking = [factor - fractions.Fraction(float(factor)) for factor in exact]
    return np.array([0.0, *(float(part * 2**54) for part in lacking)], np.float32)


def bounds(limit: int) -> np.ndarray:
    """Compute what a shortfall times the side has to exceed to make the quotient v one less.

    Args:
        limit: largest v.

    Returns:
        float32 `[limit + 1]`: the power of two at or above each v.
    """
    return np.array([2.0 ** max(value - 1, 0).bit_length() for value in range(limit + 1)], np.float32)
