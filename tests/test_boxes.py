"""Geometry against loops, torchvision's vectors and its own laws."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_frcnn import boxes as box_ops

EXACT = {"rtol": 1e-5, "atol": 1e-5}


@pytest.fixture(scope="module")
def golden(shared):
    return np.load(shared / "parity/ops.golden.npz")


def some_boxes(count, seed=0):
    rng = np.random.default_rng(seed)
    corners = rng.uniform(0, 200, (count, 2))
    return np.concatenate([corners, corners + rng.uniform(1, 100, (count, 2))], axis=1).astype("float32")


def pixels(low, high):
    return st.floats(low, high, width=32)


@st.composite
def one_box(draw):
    """A box of 1–300 px in or around an image of some hundred."""
    x, y, width, height = draw(
        st.tuples(pixels(-100, 500), pixels(-100, 500), pixels(1, 300), pixels(1, 300))
    )
    return np.array([[x, y, x + width, y + height]], "float32")


def iou_by_hand(box, other):
    width = max(0.0, min(box[2], other[2]) - max(box[0], other[0]))
    height = max(0.0, min(box[3], other[3]) - max(box[1], other[1]))
    areas = [(b[2] - b[0]) * (b[3] - b[1]) for b in (box, other)]
    return width * height / (sum(areas) - width * height)


def encode_by_hand(box, reference, weights):
    (cx, cy, w, h), (rx, ry, rw, rh) = (
        ((b[0] + b[2]) / 2, (b[1] + b[3]) / 2, b[2] - b[0], b[3] - b[1]) for b in (box, reference)
    )
    deltas = (cx - rx) / rw, (cy - ry) / rh, math.log(w / rw), math.log(h / rh)
    return [delta * weight for delta, weight in zip(deltas, weights)]


def test_area_and_intersection():
    boxes = np.array([[0, 0, 4, 3], [2, 1, 6, 9], [5, 5, 1, 9]], "float32")
    np.testing.assert_array_equal(box_ops.area(boxes), [12, 32, 0])
    np.testing.assert_array_equal(box_ops.intersection(boxes[:1], boxes[:2]), [[12, 4]])


def test_iou_equals_loops():
    boxes, others = some_boxes(20), some_boxes(30, seed=1)
    expected = [[iou_by_hand(box, other) for other in others.astype(float)] for box in boxes.astype(float)]
    np.testing.assert_allclose(box_ops.iou(boxes, others), expected, **EXACT)


def test_iou_broadcasts_over_images():
    boxes, others = some_boxes(6).reshape(2, 3, 4), some_boxes(10, seed=1).reshape(2, 5, 4)
    iou = box_ops.iou(boxes, others)
    assert iou.shape == (2, 3, 5)
    np.testing.assert_array_equal(iou[1], box_ops.iou(boxes[1], others[1]))


def test_iou_of_boxes_without_area_is_zero():
    flat = np.array([[5, 5, 5, 5], [-1, -1, -1, -1]], "float32")
    np.testing.assert_array_equal(box_ops.iou(flat, flat), np.zeros([2, 2]))


def test_iou_equals_torchvision(golden):
    iou = box_ops.iou(golden["nms_boxes"][:60], golden["nms_boxes"][60:130])
    np.testing.assert_allclose(iou, golden["iou"], rtol=0, atol=1e-5)


@pytest.mark.parametrize("weights", [(1, 1, 1, 1), (10, 10, 5, 5)])
def test_encode_equals_loops(weights):
    boxes, references = some_boxes(20), some_boxes(20, seed=1)
    expected = [encode_by_hand(*pair, weights) for pair in zip(boxes.astype(float), references.astype(float))]
    np.testing.assert_allclose(box_ops.BoxCoder(weights).encode(boxes, references), expected, **EXACT)


@pytest.mark.parametrize("name, weights", [("rpn", (1, 1, 1, 1)), ("head", (10, 10, 5, 5))])
def test_coder_equals_torchvision(golden, name, weights):
    coder, proposals = box_ops.BoxCoder(weights), golden["coder_proposals"]
    deltas = coder.encode(golden["coder_gt"], proposals)
    np.testing.assert_allclose(deltas, golden[f"coder_{name}_deltas"], **EXACT)
    np.testing.assert_allclose(coder.decode(deltas, proposals), golden["coder_gt"], rtol=1e-5, atol=1e-4)
    # Beyond the clamp boxes are thousands of pixels large: the tolerance is relative there.
    big = golden[f"coder_{name}_big"]
    assert np.any(big[:, 2:] / weights[2] > box_ops.LOG_SCALE_LIMIT)
    np.testing.assert_allclose(coder.decode(big, proposals), golden[f"coder_{name}_decoded_big"], **EXACT)


def test_decode_clamps_growth():
    reference = np.array([[0, 0, 16, 16]], "float32")
    decoded = box_ops.BoxCoder().decode(np.array([[0, 0, 100, 100]], "float32"), reference)
    np.testing.assert_allclose(decoded, [[-492, -492, 508, 508]], rtol=1e-5)


def test_encode_is_finite_for_padding():
    padding = np.full([1, 4], -1, "float32")
    for pair in ((padding, some_boxes(1)), (some_boxes(1), padding), (padding, padding)):
        assert np.all(np.isfinite(box_ops.BoxCoder().encode(*pair)))


@settings(deadline=None, max_examples=50)
@given(one_box(), one_box())
def test_decode_undoes_encode(box, reference):
    coder = box_ops.BoxCoder((10, 10, 5, 5), log_scale_limit=10.0)
    decoded = coder.decode(coder.encode(box, reference), reference)
    np.testing.assert_allclose(decoded, box, rtol=1e-4, atol=1e-2)


@settings(deadline=None, max_examples=50)
@given(one_box(), one_box())
def test_iou_is_a_symmetric_fraction(box, other):
    iou = float(box_ops.iou(box, other)[0, 0])
    assert 0.0 <= iou <= 1.0
    assert iou == pytest.approx(float(box_ops.iou(other, box)[0, 0]), abs=1e-6)
    assert float(box_ops.iou(box, box)[0, 0]) == pytest.approx(1.0, abs=1e-5)


@settings(deadline=None, max_examples=50)
@given(one_box(), st.integers(1, 400), st.integers(1, 400))
def test_clip_stays_inside_and_changes_nothing_there(box, height, width):
    clipped = box_ops.clip(box, [height, width]).numpy()
    assert np.all(clipped >= 0) and np.all(clipped <= [width, height, width, height])
    np.testing.assert_array_equal(box_ops.clip(clipped, [height, width]), clipped)


def test_clip_takes_a_shape_for_each_image():
    boxes = np.tile(np.array([[-5, -5, 100, 100]], "float32"), (2, 1, 1))
    clipped = box_ops.clip(boxes, np.array([[10, 20], [30, 40]]))
    np.testing.assert_array_equal(clipped, [[[0, 0, 20, 10]], [[0, 0, 40, 30]]])


@settings(deadline=None, max_examples=50)
@given(one_box(), st.integers(1, 1000))
def test_two_flips_are_none(box, width):
    flipped = box_ops.flip_horizontally(box, float(width))
    np.testing.assert_allclose(box_ops.area(flipped), box_ops.area(box), rtol=1e-3)
    np.testing.assert_allclose(box_ops.flip_horizontally(flipped, float(width)), box, atol=1e-3)


def test_at_least_looks_at_both_sides():
    boxes = np.array([[0, 0, 16, 16], [0, 0, 15.9, 30], [0, 0, 30, 15.9], [9, 9, 3, 3]], "float32")
    np.testing.assert_array_equal(box_ops.at_least(boxes, 16.0), [True, False, False, False])


def test_yxyx_normalized():
    boxes = np.array([[[10, 20, 30, 40]]], "float32")
    np.testing.assert_allclose(box_ops.yxyx_normalized(boxes, [[100, 50]]), [[[0.2, 0.2, 0.4, 0.6]]])


def test_a_box_grows_about_its_center():
    boxes = np.array([[10, 20, 30, 60], [0, 0, 8, 2]], "float32")
    np.testing.assert_array_equal(box_ops.expand(boxes, 1.5), [[5, 10, 35, 70], [-2, -0.5, 10, 2.5]])
    np.testing.assert_array_equal(box_ops.expand(boxes, 1.0), boxes)


def test_rescale_has_a_ratio_for_each_axis():
    boxes = np.array([[[10, 20, 30, 40]], [[1, 2, 3, 90]]], "float32")
    # The first image becomes twice as high and three times as wide, the second half as high.
    rescaled = box_ops.rescale(boxes, [[100, 200], [40, 60]], [[200, 600], [20, 60]])
    # Heights of 90 rows leave the second image, which then has 20.
    np.testing.assert_allclose(rescaled, [[[30, 40, 90, 80]], [[1, 1, 3, 20]]])


def test_a_side_counts_as_a_thousandth_of_a_pixel_at_least():
    flat, whole = np.array([[5, 0, 5, 8]], "float32"), np.array([[0, 0, 8, 4]], "float32")
    coder = box_ops.BoxCoder()
    np.testing.assert_allclose(coder.encode(flat, whole), [[1 / 8, 2 / 4, math.log(1e-3 / 8), math.log(2)]])
    np.testing.assert_allclose(
        coder.encode(whole, flat), [[-1 / 1e-3, -2 / 8, math.log(8 / 1e-3), math.log(0.5)]], rtol=1e-6
    )
