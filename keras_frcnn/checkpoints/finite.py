"""Refuse weights that are not finite numbers."""

import numpy as np


def check_finite(values, origin):
    """Raise a readable error if the weights of a file are not finite.

    Formats without checksums give damaged numbers silently; some of these show by being infinite or NaN.

    Args:
        values: pairs of name and array.
        origin: name of the file in messages.

    Raises:
        ValueError: a weight is not finite.
    """
    for name, value in values:
        if not np.isfinite(value).all():
            raise ValueError(
                f"{name} in {origin} is not finite: the file is damaged, or of a training that diverged; "
                "give another."
            )
