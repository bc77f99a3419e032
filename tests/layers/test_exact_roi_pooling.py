"""ExactRoIPooling against torchvision's vectors and a loop in NumPy."""

import math

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_frcnn.layers import ExactRoIPooling


def bins_by_hand(low, high, stride, count, rule, corners):
    """First and past-the-last cell of each bin along one axis, not yet cut at the border."""
    start, end = (math.copysign(math.floor(abs(x / stride) + 0.5), x) for x in (low, high))
    size = max(int(end - start) + (corners == "inclusive"), 1)
    for index in range(count):
        if rule == "overlapping":
            first, past = index * size // count, -(-(index + 1) * size // count)
        elif size < count:
            first = index * size // count
            past = first + 1
        else:
            first = index * (size // count)
            past = size if index == count - 1 else first + size // count
        yield int(start) + first, int(start) + past


def pool_by_hand(feature, box, weights, gradient, stride, count, rule, corners="inclusive"):
    """`[P, P, C]`; adds the weight of each bin to `gradient` at the bin's first largest cell."""
    height, width, channels = feature.shape
    pooled = np.zeros((count, count, channels), "float32")
    for row, (top, bottom) in enumerate(bins_by_hand(box[1], box[3], stride, count, rule, corners)):
        for column, (left, right) in enumerate(bins_by_hand(box[0], box[2], stride, count, rule, corners)):
            cells = [
                (y, x)
                for y in range(max(top, 0), min(bottom, height))
                for x in range(max(left, 0), min(right, width))
            ]
            for channel in range(channels if cells else 0):
                y, x = max(cells, key=lambda cell: feature[*cell, channel])  # the first of equal ones
                pooled[row, column, channel] = feature[y, x, channel]
                gradient[y, x, channel] += weights[row, column, channel]
    return pooled


def pool(layer, feature, boxes, weights):
    """What the layer gives, and the gradient of its sum times the weights."""
    with tf.GradientTape() as tape:
        tape.watch(feature)
        pooled = layer(feature, boxes)
        loss = tf.reduce_sum(pooled * weights)
    return pooled, tape.gradient(loss, feature)


@pytest.mark.parametrize("pool_size", [7, 2])
def test_values_and_gradient_equal_torchvision(shared, pool_size):
    golden = np.load(shared / "parity/ops.golden.npz")
    feature = tf.constant(golden["feature"])
    layer = ExactRoIPooling(pool_size)
    weights = np.linspace(0.1, 1, 40 * 8 * pool_size**2, dtype="float32")
    weights = weights.reshape(40, 8, pool_size, pool_size).transpose(0, 2, 3, 1)
    with tf.GradientTape() as tape:
        tape.watch(feature)
        pooled = layer.pool([feature], [golden["boxes"]], golden["batch_index"], tf.zeros(40, tf.int32))
        loss = tf.reduce_sum(pooled * weights)
    key = f"roi_pool_{pool_size}"
    np.testing.assert_array_equal(pooled, golden[key])
    # Sums up to 23 of float32 in another order: the last place is 2e-6.
    np.testing.assert_allclose(tape.gradient(loss, feature), golden[f"{key}_grad"], rtol=1e-6, atol=1e-6)


# Corners anywhere: inside and out, inverted, and often half-way between two cells.
CORNER = st.one_of(st.floats(-100, 260, width=32), st.integers(-12, 32).map(lambda half: 8.0 * half))


@settings(max_examples=60, deadline=None)
@given(
    boxes=st.lists(st.tuples(CORNER, CORNER, CORNER, CORNER), min_size=1, max_size=5),
    pool_size=st.sampled_from([1, 2, 3, 7]),
    rule=st.sampled_from(["overlapping", "partition"]),
    corners=st.sampled_from(["inclusive", "half_open"]),
    values=st.sampled_from([1, 3, 1000]),
    seed=st.integers(0, 99),
)
def test_equals_a_loop(boxes, pool_size, rule, corners, values, seed):
    """Few different values make many ties, negative ones tell an empty bin's 0 from a maximum."""
    rng = np.random.default_rng(seed)
    feature = rng.integers(-values, values, (2, 8, 10, 2)).astype("float32")
    boxes = np.array([boxes, boxes[::-1]], "float32")
    weights = rng.normal(size=(*boxes.shape[:2], pool_size, pool_size, 2)).astype("float32")
    layer = ExactRoIPooling(pool_size, bins=rule, corners=corners)
    pooled, gradient = pool(layer, tf.constant(feature), tf.constant(boxes), weights)
    expected = np.zeros_like(feature)
    for image, row in np.ndindex(boxes.shape[:2]):
        one = pool_by_hand(
            feature[image],
            boxes[image, row],
            weights[image, row],
            expected[image],
            16,
            pool_size,
            rule,
            corners,
        )
        np.testing.assert_array_equal(pooled[image, row], one)
    np.testing.assert_allclose(gradient, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("count", [1, 20, 300])
@pytest.mark.parametrize("pool_size", [1, 2, 7])
def test_bins_of_any_size(pool_size, count):
    """Bins up to the whole map, and few or many of them: which tables are made depends on both."""
    rng = np.random.default_rng(count)
    feature = rng.normal(size=(1, 23, 41, 1)).astype("float32")
    size = rng.uniform(4, 60, (count, 2)) * rng.choice([0.1, 1.0], (count, 2))
    center = rng.uniform(0, 1, (count, 2)) * [41, 23]
    boxes = np.concatenate([center - size / 2, center + size / 2], axis=1).astype("float32")
    pooled = ExactRoIPooling(pool_size, strides=(1,))(feature, boxes[None])
    weights, gradient = np.zeros((pool_size, pool_size, 1)), np.zeros_like(feature[0])
    for row in range(min(count, 20)):
        expected = pool_by_hand(feature[0], boxes[row], weights, gradient, 1, pool_size, "overlapping")
        np.testing.assert_array_equal(pooled[0, row], expected)


@pytest.mark.parametrize("corners, box", [("inclusive", [0, 3, 6, 7]), ("half_open", [0, 3, 7, 8])])
def test_the_well_known_example(corners, box):
    """Columns 0–6 and rows 3–7, as each rule writes them."""
    feature = """
        0.88 0.44 0.14 0.16 0.37 0.77 0.96 0.27
        0.19 0.45 0.57 0.16 0.63 0.29 0.71 0.70
        0.66 0.26 0.82 0.64 0.54 0.73 0.59 0.26
        0.85 0.34 0.76 0.84 0.29 0.75 0.62 0.25
        0.32 0.74 0.21 0.39 0.34 0.03 0.33 0.48
        0.20 0.14 0.16 0.13 0.73 0.65 0.96 0.32
        0.19 0.69 0.09 0.86 0.88 0.07 0.01 0.48
        0.83 0.24 0.97 0.04 0.24 0.35 0.50 0.91
    """
    feature = np.array(feature.split(), "float32").reshape(1, 8, 8, 1)
    region = tf.constant([[box]], tf.float32)
    answers = {"partition": [[0.85, 0.84], [0.97, 0.96]], "overlapping": [[0.85, 0.96], [0.97, 0.96]]}
    for rule, answer in answers.items():
        pooled = ExactRoIPooling(2, strides=(1,), bins=rule, corners=corners)(feature, region)
        np.testing.assert_array_equal(pooled[0, 0, :, :, 0], np.array(answer, "float32"))


def batch():
    """Two images, boxes of all sizes, padding of both kinds."""
    rng = np.random.default_rng(0)
    feature = tf.constant(rng.normal(size=(2, 19, 32, 5)), tf.float32)
    corners = np.sort(rng.uniform(-40, 540, (2, 30, 2, 2)), axis=2).reshape(2, 30, 4)
    corners[:, -2:] = [[0.0] * 4, [-1.0] * 4]
    return feature, tf.constant(corners, tf.float32), rng.normal(size=(2, 30, 7, 7, 5)).astype("float32")


@pytest.mark.parametrize("jit_compile", [False, True], ids=["graph", "xla"])
def test_graph_and_xla_equal_eager(jit_compile):
    """Traced for maps and RoIs of any size."""
    layer = ExactRoIPooling()
    feature, boxes, weights = batch()
    signature = [
        tf.TensorSpec([None, None, None, 5]),
        tf.TensorSpec([None, None, 4]),
        tf.TensorSpec([None, None, 7, 7, 5]),
    ]
    traced = tf.function(
        lambda *arguments: pool(layer, *arguments), input_signature=signature, jit_compile=jit_compile
    )
    eager = pool(layer, feature, boxes, weights)
    for answer, expected in zip(traced(feature, boxes, weights), eager):
        np.testing.assert_allclose(answer, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("rule", ["overlapping", "partition"])
def test_padding_and_no_rois_at_all(rule):
    feature, boxes, weights = batch()
    layer = ExactRoIPooling(bins=rule)
    padding = pool(layer, feature, boxes[:, -2:], weights[:, -2:])
    assert all(np.all(np.isfinite(one)) for one in padding)
    pooled, gradient = pool(layer, feature, boxes[:, :0], weights[:, :0])
    assert pooled.shape == (2, 0, 7, 7, 5) and np.all(gradient == 0)


def test_half_precision_gradients_are_summed_in_float32():
    """Half precision would stop counting at 2048 (float16) or 256 (bfloat16)."""
    for dtype in ("float16", "bfloat16"):
        layer = ExactRoIPooling(1, strides=(1,), dtype=f"mixed_{dtype}")
        feature = tf.ones([1, 1, 1, 1], dtype)
        _, gradient = pool(layer, feature, tf.zeros([1, 4096, 4]), tf.ones([], dtype))
        assert gradient == 4096


def test_unknown_rules():
    with pytest.raises(ValueError, match="Unknown bins 'rounded'; use 'overlapping' or 'partition'"):
        ExactRoIPooling(bins="rounded")
    with pytest.raises(ValueError, match="Unknown corners 'open'; use 'inclusive' or 'half_open'"):
        ExactRoIPooling(corners="open")
