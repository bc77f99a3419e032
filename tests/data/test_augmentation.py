"""Painted boxes: object i is bright in channel i, so wherever an image went its boxes can be read off it."""

import colorsys

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_frcnn.data import augmentation
from keras_frcnn.data.augmentation import Example

NOTHING = Example(
    None, np.zeros([0, 4], np.float32), np.zeros(0, np.int32), np.zeros(0, bool), np.zeros([0, 4], np.float32)
)
SIGNATURE = [
    Example(
        tf.TensorSpec([None, None, 3], tf.uint8),
        tf.TensorSpec([None, 4], tf.float32),
        tf.TensorSpec([None], tf.int32),
        tf.TensorSpec([None], tf.bool),
        tf.TensorSpec([None, 4], tf.float32),
    ),
    tf.TensorSpec([2], tf.int32),
]
# As in tf.data: no shape is known when the graph is made. And many times as fast as eagerly.
crop = tf.function(augmentation.crop, input_signature=SIGNATURE)
photometric = tf.function(augmentation.photometric, input_signature=SIGNATURE)
seeds = st.tuples(st.integers(0, 2**31 - 1), st.integers(0, 2**31 - 1)).map(list)


@st.composite
def painted(draw, least=0):
    """An example of up to three painted objects, whose proposals are its boxes."""
    height, width = draw(st.tuples(st.integers(8, 90), st.integers(8, 90)))
    count = draw(st.integers(least, 3))
    image, boxes = np.full([height, width, 3], 20, np.uint8), np.zeros([count, 4], np.float32)
    for channel in range(count):
        x1, y1 = draw(st.integers(0, width - 4)), draw(st.integers(0, height - 4))
        x2, y2 = draw(st.integers(x1 + 4, width)), draw(st.integers(y1 + 4, height))
        image[y1:y2, x1:x2, channel] = 220
        boxes[channel] = x1, y1, x2, y2
    ignore = np.array(draw(st.lists(st.booleans(), min_size=count, max_size=count)), bool)
    return Example(image, boxes, np.arange(count, dtype=np.int32), ignore, boxes)


def tensors(example):
    return Example(*(tf.constant(part) for part in example))


def assert_boxes_are_where_they_were_painted(example, tolerance):
    for box, channel in zip(example.boxes.numpy(), example.labels.numpy()):
        rows, columns = np.nonzero(example.image[..., channel].numpy() > 120)
        if not len(rows):
            # Bilinear sampling steps over what is thinner than its stride.
            assert min(box[2:] - box[:2]) <= tolerance
            continue
        seen = columns.min(), rows.min(), columns.max() + 1, rows.max() + 1
        np.testing.assert_allclose(box, seen, atol=tolerance)
    assert set(np.unique(np.nonzero(example.image.numpy() > 120)[2])) <= set(example.labels.numpy())


def coordinates(height, width):
    y, x = np.mgrid[:height, :width]
    return np.stack([x, y, 0 * x], axis=-1).astype(np.uint8)


def cut_by_hand(example, window):
    kept, proposals = [], []
    x1, y1, x2, y2 = window
    for box, label, ignore in zip(example.boxes, example.labels, example.ignore):
        clipped = [max(box[0], x1), max(box[1], y1), min(box[2], x2), min(box[3], y2)]
        sides = clipped[2] - clipped[0], clipped[3] - clipped[1]
        if min(sides) <= 0:
            continue
        share = sides[0] * sides[1] / ((box[2] - box[0]) * (box[3] - box[1]))
        center = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
        stays = x1 <= center[0] < x2 and y1 <= center[1] < y2 and share >= 0.25
        kept.append((np.subtract(clipped, [x1, y1, x1, y1]), label, ignore or not stays))
    for box in example.proposals:
        clipped = [max(box[0], x1), max(box[1], y1), min(box[2], x2), min(box[3], y2)]
        if clipped[2] > clipped[0] and clipped[3] > clipped[1]:
            proposals.append(np.subtract(clipped, [x1, y1, x1, y1]))
    return kept, proposals


@settings(deadline=None, max_examples=60)
@given(painted(), st.data())
def test_cut_equals_loops(example, data):
    height, width = example.image.shape[:2]
    x1, y1 = data.draw(st.integers(0, width - 1)), data.draw(st.integers(0, height - 1))
    window = x1, y1, data.draw(st.integers(x1 + 1, width)), data.draw(st.integers(y1 + 1, height))
    result = augmentation.cut(tensors(example), tf.constant(window))
    kept, proposals = cut_by_hand(example, window)
    np.testing.assert_array_equal(result.image, example.image[window[1] : window[3], window[0] : window[2]])
    np.testing.assert_array_equal(result.boxes, np.reshape([box for box, *_ in kept], [-1, 4]))
    np.testing.assert_array_equal(result.labels, [label for _, label, _ in kept])
    np.testing.assert_array_equal(result.ignore, [ignore for *_, ignore in kept])
    np.testing.assert_array_equal(result.proposals, np.reshape(proposals, [-1, 4]))
    assert_boxes_are_where_they_were_painted(result, tolerance=0)


@settings(deadline=None, max_examples=100)
@given(painted(), seeds)
def test_a_crop_keeps_an_object_and_the_format(example, seed):
    result = crop(tensors(example), seed)
    assert_boxes_are_where_they_were_painted(result, tolerance=0)
    np.testing.assert_array_equal(result.proposals, result.boxes)
    was_ignored = example.ignore[result.labels.numpy()]
    assert result.ignore.numpy()[was_ignored].all()
    if not example.ignore.all():
        assert not result.ignore.numpy().all()
    (old_height, old_width), (height, width) = example.image.shape[:2], result.image.shape[:2]
    assert (height > width) == (old_height > old_width)
    assert 0.3 * 2**-0.5 * old_height - 1 <= height <= old_height
    assert 0.3 * 2**-0.5 * old_width - 1 <= width <= old_width


@pytest.mark.parametrize("ignore", [False, True])
def test_crops_without_an_object_are_free(ignore):
    # An ignore region is no object that a crop must keep.
    region = NOTHING
    if ignore:
        box = np.array([[0, 0, 3, 3]], np.float32)
        region = Example(None, box, np.zeros(1, np.int32), np.ones(1, bool), box)
    example = tensors(region._replace(image=coordinates(60, 80)))
    found = [crop(example, [7, number]) for number in range(40)]
    corners = np.array([one.image[0, 0, :2] for one in found])
    assert len(np.unique(corners, axis=0)) > 20 and corners[:, 0].max() > 30 and corners[:, 1].max() > 20
    assert any(len(one.boxes) == 0 for one in found)


def test_crops_come_close_to_small_objects_and_far_from_them():
    box = np.array([[40, 30, 60, 50]], np.float32)
    example = tensors(Example(coordinates(100, 120), box, np.zeros(1, np.int32), np.zeros(1, bool), box))
    shares = []
    for number in range(200):
        result = crop(example, [number, 1])
        shares.append(400 / np.prod(result.image.shape[:2]))
    # The smallest window of SSD is 9 % of the image, in which this object takes a third.
    assert min(shares) < 0.05 and max(shares) > 0.3


def test_an_object_that_fills_the_image_is_not_cut_to_a_scrap():
    box = np.array([[0, 0, 120, 100]], np.float32)
    example = tensors(Example(coordinates(100, 120), box, np.zeros(1, np.int32), np.zeros(1, bool), box))
    for number in range(100):
        result = crop(example, [number, 2])
        assert not result.ignore.numpy()[0]
        assert np.prod(result.image.shape[:2]) >= 0.25 * 120 * 100


@settings(deadline=None, max_examples=40)
@given(painted())
def test_mirror(example):
    once = augmentation.mirror(tensors(example))
    np.testing.assert_array_equal(once.image, example.image[:, ::-1])
    assert_boxes_are_where_they_were_painted(once, tolerance=0)
    np.testing.assert_array_equal(once.proposals, once.boxes)
    for part, original in zip(augmentation.mirror(once), example):
        np.testing.assert_array_equal(part, original)


@settings(deadline=None, max_examples=60)
@given(painted(), seeds, st.floats(0.3, 2), st.floats(1, 2), st.floats(1, 3))
def test_scale_jitter_fits_the_room(example, seed, low, span, zoom):
    height, width = example.image.shape[:2]
    shape = np.maximum(np.array([height, width]) * zoom, 1).astype(np.int32)
    room = -(-shape // 32) * 32
    cut, new = augmentation.scale_jitter(
        tensors(example), tf.constant(shape), tf.constant(room), (low, low * span), tf.constant(seed)
    )
    new = new.numpy()
    assert (new <= room).all() and (new >= np.minimum(np.floor(shape * low), room)).all()
    assert (new <= np.ceil(shape * low * span)).all()
    # A pixel of the original becomes as large as the factor says, whether it was cut or not.
    ratios = new / np.array(cut.image.shape[:2])
    factors = ratios * [height, width] / shape
    slack = 1 / np.array(cut.image.shape[:2]) + 1 / new + 1e-3
    assert (factors >= low * (1 - slack)).all() and (factors <= low * span * (1 + slack)).all()
    assert_boxes_are_where_they_were_painted(cut, tolerance=0)
    np.testing.assert_array_equal(cut.proposals, cut.boxes)


def test_scale_jitter_cuts_everywhere():
    example = tensors(NOTHING._replace(image=coordinates(60, 80)))
    corners = []
    for number in range(60):
        cut, new = augmentation.scale_jitter(example, [60, 80], [64, 96], (2, 2), [number, 0])
        np.testing.assert_array_equal(new, [64, 96])
        assert cut.image.shape[:2] == (32, 48)
        corners.append(cut.image[0, 0, :2].numpy())
    corners = np.array(corners)
    assert (corners.min(0) <= 2).all() and (corners.max(0) >= [30, 26]).all()
    assert (corners.max(0) <= [32, 28]).all()


def distorted_by_hand(pixel, draws):
    """SSD's distortion of one pixel, with the standard library's colors."""
    coins, amounts = draws[:5] < 0.5, 2 * draws[5:].astype(float) - 1
    value = np.array(pixel, float)

    def in_hsv(value, hue=0.0, saturation=1.0):
        h, s, v = colorsys.rgb_to_hsv(*value / 255)
        return 255 * np.array(colorsys.hsv_to_rgb((h + hue) % 1, min(s * saturation, 1), v))

    contrast = (coins[1], lambda v: v * (1 + amounts[1] / 2))
    steps = [
        (coins[0], lambda v: v + 32 * amounts[0]),
        (coins[2], lambda v: in_hsv(v, saturation=1 + amounts[2] / 2)),
        (coins[3], lambda v: in_hsv(v, hue=amounts[3] / 10)),
    ]
    steps.insert(1 if coins[4] else 3, contrast)
    for chosen, step in steps:
        value = np.clip(step(value), 0, 255) if chosen else value
    return value


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_photometric_equals_loops(dtype):
    image = np.random.default_rng(0).integers(0, 256, [3, 4, 3]).astype(dtype)
    box = np.array([[0, 0, 2, 2]], np.float32)
    example = tensors(Example(image, box, np.zeros(1, np.int32), np.zeros(1, bool), box))
    for number in range(40):
        result = augmentation.photometric(example, [number, 3])
        draws = tf.random.stateless_uniform([9], [number, 3]).numpy()
        expected = [[distorted_by_hand(pixel, draws) for pixel in row] for row in image]
        assert result.image.dtype == dtype
        np.testing.assert_allclose(
            result.image.numpy().astype(float), expected, atol=0.51 if dtype is np.uint8 else 0.01
        )
        np.testing.assert_array_equal(result.boxes, box)


def test_photometric_changes_most_images_and_not_all():
    image = np.random.default_rng(0).integers(0, 256, [3, 4, 3]).astype(np.uint8)
    example = tensors(NOTHING._replace(image=image))
    same = sum(np.array_equal(photometric(example, [number, 0]).image, image) for number in range(200))
    assert 3 <= same <= 30  # 1/16 is left alone


@settings(deadline=None, max_examples=10)
@given(painted(), seeds)
def test_a_seed_decides_alone_in_a_graph_and_eagerly(example, seed):
    example = tensors(example)
    for in_graph, eagerly in ((crop, augmentation.crop), (photometric, augmentation.photometric)):
        once = in_graph(example, seed)
        tf.random.set_seed(seed[0])
        for part, other in zip(once, eagerly(example, seed)):
            np.testing.assert_array_equal(part, other)
