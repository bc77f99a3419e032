"""Anchors against the published lists."""

import numpy as np
import pytest
import tensorflow as tf

from keras_frcnn.layers import AnchorGenerator

# What generate_anchors.py of py-faster-rcnn gives, inclusive corners.
PY_FASTER_RCNN = [
    (-84, -40, 99, 55),
    (-176, -88, 191, 103),
    (-360, -184, 375, 199),
    (-56, -56, 71, 71),
    (-120, -120, 135, 135),
    (-248, -248, 263, 263),
    (-36, -80, 51, 95),
    (-80, -168, 95, 183),
    (-168, -344, 183, 359),
]


def test_the_nine_anchors_of_py_faster_rcnn():
    anchors = AnchorGenerator(((128, 256, 512),), (16,), rounding="caffe")(tf.zeros([1, 1, 1, 8]))
    half_open = np.array(PY_FASTER_RCNN) + [0, 0, 1, 1]
    np.testing.assert_array_equal(anchors, half_open)


def test_rows_columns_and_cells_follow_each_other():
    generator = AnchorGenerator(((128, 256, 512),), (16,), rounding="caffe")
    anchors = np.reshape(generator(tf.zeros([3, 2, 4, 8])), [2, 4, 9, 4])
    for row in range(2):
        for column in range(4):
            shift = 16 * np.array([column, row, column, row])
            np.testing.assert_array_equal(anchors[row, column], generator.cell_anchors(0) + shift)


def test_anchors_of_a_pyramid():
    sizes, strides = (32, 64), (8, 16)
    generator = AnchorGenerator(sizes, strides)
    levels = generator.per_level([tf.zeros([1, 4, 6, 8]), tf.zeros([1, 2, 3, 8])])
    for size, stride, (rows, columns), level in zip(sizes, strides, [(4, 6), (2, 3)], levels):
        expected = []
        for row in range(rows):
            for column in range(columns):
                x, y = (column + 0.5) * stride, (row + 0.5) * stride
                for ratio in (0.5, 1.0, 2.0):
                    width, height = size / ratio**0.5, size * ratio**0.5
                    expected.append([x - width / 2, y - height / 2, x + width / 2, y + height / 2])
        np.testing.assert_allclose(level, expected, rtol=1e-6, atol=1e-4)
    together = generator([tf.zeros([1, 4, 6, 8]), tf.zeros([1, 2, 3, 8])])
    np.testing.assert_array_equal(together, np.concatenate(levels))


def test_torchvision_anchors_are_whole_pixels_around_the_corner():
    generator = AnchorGenerator((32,), (4,), offset=0.0, rounding="torchvision")
    expected = [[-23, -11, 23, 11], [-16, -16, 16, 16], [-11, -23, 11, 23]]
    np.testing.assert_array_equal(generator.cell_anchors(0), expected)


def test_anchors_are_float32_under_mixed_precision():
    # 4000.5 is not a float16.
    anchors = AnchorGenerator((1,), (1,), ratios=(1.0,), dtype="mixed_float16")(
        tf.zeros([1, 1, 4002, 1], "float16")
    )
    np.testing.assert_array_equal(anchors[4001], [4001, 0, 4002, 1])


@pytest.mark.parametrize(
    "arguments",
    [
        {"sizes": (32, 64), "strides": (8,)},
        {"sizes": ((32, 64), (128,)), "strides": (8, 16)},
        {"sizes": (32,), "strides": (8,), "rounding": "up"},
    ],
)
def test_bad_arguments_are_refused(arguments):
    with pytest.raises(ValueError):
        AnchorGenerator(**arguments)


def test_torchvision_steps_by_whole_quotients():
    generator = AnchorGenerator((32, 64), (32, 64), offset=0.0, rounding="torchvision", steps="quotient")
    fine, coarse = generator.per_level([tf.zeros([1, 25, 34, 8]), tf.zeros([1, 13, 17, 8])])
    # 800 // 13 = 61 and 1088 // 17 = 64: the last cells reach beyond the 800 rows of pixels.
    centers = (np.reshape(coarse, [13, 17, 3, 4])[..., :2] + np.reshape(coarse, [13, 17, 3, 4])[..., 2:]) / 2
    np.testing.assert_array_equal(centers[:, 0, 0, 1], 61 * np.arange(13))
    np.testing.assert_array_equal(centers[0, :, 0, 0], 64 * np.arange(17))
    assert fine.shape == (25 * 34 * 3, 4)
    again = AnchorGenerator.from_config(generator.get_config())
    np.testing.assert_array_equal(again(tf.zeros([1, 4, 4, 8])[:, :, :3]), generator(tf.zeros([1, 4, 3, 8])))
    with pytest.raises(ValueError, match="Unknown anchor steps 'whole'"):
        AnchorGenerator((32,), (16,), steps="whole")
