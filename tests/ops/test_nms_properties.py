"""Suppression over what trained networks give: logits from −30 to 30, free rows, ties, unusable rows.

Every kernel is compared with a loop in NumPy and, where torchvision is installed, with its `batched_nms`.
"""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_frcnn.ops import kernels
from keras_frcnn.ops.nms import grouped_nms

LOWEST = -float("inf")
ROWS = 12
# No IoU of boxes on a grid, but 1, which no IoU exceeds: no rounding decides.
THRESHOLDS = (1e-5, 0.30001, 0.70001, 1.0)
# Traced once for all shapes; the compiled one has a shape of its own for each number of boxes.
SIGNATURE = [tf.TensorSpec([None, None, None, 4]), tf.TensorSpec([None, None, 3]), tf.TensorSpec([])]


def kernel(kind):
    with kernels.use(kind):
        return tf.function(
            lambda boxes, scores, iou: grouped_nms(boxes, scores, iou, LOWEST, ROWS), SIGNATURE
        ).get_concrete_function()


@pytest.fixture(scope="module")
def every_kernel():
    return {kind: kernel(kind) for kind in ("stock", "xla")}


def iou_by_hand(box, other):
    size = np.maximum(np.minimum(box[2:], other[2:]) - np.maximum(box[:2], other[:2]), 0)
    shared = size.prod()
    union = (box[2:] - box[:2]).prod() + (other[2:] - other[:2]).prod() - shared
    return shared / union if union else 0.0


def by_hand(boxes, scores, iou):
    """Of one image, boxes `[N, G, 4]` and scores `[N, G]`: kept rows as (score, group, box), best first."""
    kept = []
    for group in range(scores.shape[1]):
        own = []
        usable = [row for row in range(len(scores)) if scores[row, group] > LOWEST]  # NaN is not above either
        for row in sorted(usable, key=lambda row: -scores[row, group]):
            if all(iou_by_hand(boxes[row, group], boxes[other, group]) <= iou for other in own):
                own.append(row)
        kept += [(scores[row, group], group, boxes[row, group]) for row in own[:ROWS]]
    return sorted(kept, key=lambda entry: -entry[0])[:ROWS]


@st.composite
def crowds(draw):
    """Boxes `[B, N, G, 4]` on a grid, so that IoUs tie too, and scores `[B, N, 3]`."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    batch, count = draw(st.integers(1, 3)), draw(st.integers(0, 40))
    corners = rng.integers(
        0, draw(st.sampled_from([4, 12, 60])), (batch, count, draw(st.sampled_from([1, 3])), 2)
    )
    boxes = np.concatenate([corners, corners + rng.integers(0, 24, corners.shape)], axis=-1)
    scores = rng.uniform(-30, 30, (batch, count, 3))
    if draw(st.booleans()):
        scores = np.round(scores / 10) * 10  # ties
    scores[rng.random(scores.shape) < draw(st.sampled_from([0.0, 0.3, 0.9]))] = LOWEST
    scores[rng.random(scores.shape) < draw(st.sampled_from([0.0, 0.1]))] = np.nan
    return boxes.astype("float32"), scores.astype("float32")


@settings(max_examples=150, deadline=None)
@given(crowds(), st.sampled_from(THRESHOLDS))
def test_every_kernel_is_the_loop(every_kernel, crowd, iou):
    boxes, scores = crowd
    everywhere = np.broadcast_to(boxes, (*scores.shape, 4))
    for kind, suppress in every_kernel.items():
        kept, kept_scores, groups, count = (
            value.numpy() for value in suppress(boxes, scores, np.float32(iou))
        )
        for image, (found, expected) in enumerate(
            zip(count, [by_hand(*pair, iou) for pair in zip(everywhere, scores)], strict=True)
        ):
            assert found == len(expected), kind
            for row, (score, group, box) in enumerate(expected):
                assert (kept_scores[image, row], groups[image, row]) == (score, group), kind
                np.testing.assert_array_equal(kept[image, row], box, kind)
            assert not any(np.any(rest[image, found:]) for rest in (kept, kept_scores, groups)), kind


@pytest.mark.parametrize("kind", ["stock", "xla", "compiled"])
def test_a_free_row_does_not_push_proposals_back(kind):
    boxes = np.float32([[0, 0, 10, 10], [0, 0, 10, 9.5], [20, 20, 30, 30], [40, 40, 50, 50]])
    logits = np.float32([2, 1.5, -1.5, -2])[:, None]

    def suppress():
        return grouped_nms(tf.constant(boxes[None]), tf.constant(logits[None]), 0.7, LOWEST, 4)

    if kind == "compiled":
        answer = tf.function(suppress, jit_compile=True)()
    else:
        with kernels.use(kind):
            answer = suppress()
    kept, scores, _, count = answer
    assert count[0] == 3
    np.testing.assert_array_equal(scores[0], [2, -1.5, -2, 0])
    np.testing.assert_array_equal(kept[0, :3], boxes[[0, 2, 3]])


def test_scores_that_a_sigmoid_would_make_equal_keep_their_order(every_kernel):
    logits = np.float32([17.0, 20.0, 19.0, 18.0, 25.0])
    corners = np.float32([[20 * row, 0] for row in range(5)])
    boxes = np.concatenate([corners, corners + 10], axis=1)[None, :, None]
    scores = np.stack([logits, *[np.full(5, LOWEST, "float32")] * 2], axis=-1)[None]
    for suppress in every_kernel.values():
        np.testing.assert_array_equal(suppress(boxes, scores, np.float32(0.5))[1][0, :5], -np.sort(-logits))


def test_as_torchvision_does(every_kernel):
    torch, ops = pytest.importorskip("torch"), pytest.importorskip("torchvision.ops")
    rng = np.random.default_rng(1)
    corners = rng.uniform(0, 80, (60, 2))
    boxes = np.concatenate([corners, corners + rng.uniform(2, 40, (60, 2))], axis=1).astype("float32")
    groups, logits = rng.integers(0, 3, 60), rng.permutation(np.linspace(-30, 30, 60)).astype("float32")
    keep = ops.batched_nms(torch.tensor(boxes), torch.tensor(logits), torch.tensor(groups), 0.4).numpy()[
        :ROWS
    ]
    scores = np.where(groups[:, None] == np.arange(3), logits[:, None], LOWEST).astype("float32")
    for suppress in every_kernel.values():
        kept, _, found, count = suppress(boxes[None, :, None], scores[None], np.float32(0.4))
        assert count[0] == len(keep)
        np.testing.assert_array_equal(kept[0, : len(keep)], boxes[keep])
        np.testing.assert_array_equal(found[0, : len(keep)], groups[keep])
