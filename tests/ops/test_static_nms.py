"""Suppression in static shapes, plain and compiled, against TensorFlow's kernel for one group."""

import numpy as np
import pytest
import tensorflow as tf

from keras_frcnn.ops import static_nms as module
from keras_frcnn.ops.static_nms import TILE, static_nms

IOU, ROWS = 0.4, 40


def some_groups(count, seed=0):
    """Two images, three groups of boxes of their own, ten different scores."""
    rng = np.random.default_rng(seed)
    corners = rng.uniform(0, 90, (2, count, 3, 2))
    boxes = np.concatenate([corners, corners + rng.uniform(10, 50, corners.shape)], axis=-1)
    return boxes.astype("float32"), rng.integers(1, 11, (2, count, 3)).astype("float32")


def one_group(boxes, scores):
    """Rows that remain of one group, best first; of equal scores the first box wins."""
    usable = np.nonzero(scores > 0.0)[0]
    return usable[tf.image.non_max_suppression(boxes[usable], scores[usable], ROWS, IOU)]


def expected_answer(boxes, scores):
    """Of one image: box, score and group of each row, of equal scores the first group's first."""
    kept = [(group, row) for group in range(3) for row in one_group(boxes[:, group], scores[:, group])]
    kept.sort(key=lambda pair: -scores[pair[1], pair[0]])
    return [(boxes[row, group], scores[row, group], group) for group, row in kept[:ROWS]]


@pytest.mark.parametrize("jit_compile", [False, True], ids=["plain", "xla"])
def test_equals_the_kernel_for_one_group(jit_compile):
    """Traced for any number of boxes: none, fewer than are compared at once, more; some score NaN or −∞."""
    signature = [tf.TensorSpec([2, None, 3, 4]), tf.TensorSpec([2, None, 3])]
    suppress = tf.function(
        lambda boxes, scores: static_nms(boxes, scores, IOU, 0.0, ROWS),
        input_signature=signature,
        jit_compile=jit_compile,
    )
    for count in (0, 5, 128, 300):
        boxes, scores = some_groups(count)
        scores[:, ::7], scores[:, 1::7] = np.nan, -np.inf
        answer = suppress(boxes, scores)
        for image in range(2):
            found = int(answer[3][image])
            expected = expected_answer(boxes[image], scores[image])
            assert found == len(expected) and (count < 300 or found == ROWS)
            for values, wanted in zip(answer, zip(*expected)):
                np.testing.assert_array_equal(values[image, :found], np.array(wanted))
            assert not any(np.any(values[image, found:]) for values in answer[:3])


@pytest.mark.parametrize("count, tiles", [(0, 1), (1, 1), (TILE, 1), (TILE + 1, 2)])
def test_no_tile_is_empty_but_the_one_of_no_boxes(count, tiles):
    _, scores = module._sorted(*some_groups(count), 0.0)
    assert scores.shape == (6, tiles * TILE)


def test_boxes_that_all_groups_share():
    boxes, scores = some_groups(50, seed=1)
    shared = np.repeat(boxes[:, :, :1], 3, axis=2)
    for answer, expected in zip(
        static_nms(boxes[:, :, :1], scores, IOU, 0.0, ROWS), static_nms(shared, scores, IOU, 0.0, ROWS)
    ):
        np.testing.assert_array_equal(answer, expected)
