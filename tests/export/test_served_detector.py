"""The reader of an export."""

import numpy as np
import pytest

from keras_frcnn.export import load


@pytest.fixture(scope="module")
def served(exported_cells):
    return load(exported_cells.path)


def test_float_pixels_are_rounded_and_stay_within_a_byte(served, image_of):
    whole = image_of(96, 128)
    whole[:32, :64], whole[32:, 64:] = 255, 0
    expected = served.detect(whole)
    assert len(expected["scores"]) > 3
    away = np.where(np.isin(whole, (0, 255)), 0.6, 0.4)
    near = whole + np.where(whole % 2, away, -away)
    for image in (near, near.astype("float32"), np.where(whole == 255, 999.0, whole)):
        for name, value in served.detect(image).items():
            np.testing.assert_array_equal(value, expected[name])
