"""The whole way of an image: painted boxes and proposals after every augmentation and all of them."""

import numpy as np
import pytest
import tensorflow as tf

from keras_frcnn.data.dataset import DetectionDataset
from keras_frcnn.data.records import BoxCheck
from keras_frcnn.data.sources import Drawn

COUNT = 24
SIZE = (60, 100)
# Everything that leaves an object's color alone, and everything.
MOVES = {"crop": 0.5, "scale_jitter": (0.5, 2.0), "short_sides": [40, 60, 80]}
ALL = {**MOVES, "photometric": 0.5}


@pytest.fixture(scope="module")
def painted():
    """Pictures of up to three objects, each bright in a channel of its own; their boxes are proposals too."""
    random = np.random.default_rng(1)
    check, pictures, records, proposals = BoxCheck("painted"), [], [], {}
    for index in range(COUNT):
        height, width = random.integers(30, 130, 2)
        corners = random.integers(0, [width - 12, height - 12], [index % 4, 2])
        boxes = np.concatenate([corners, corners + random.integers(12, 60, [index % 4, 2])], axis=1)
        boxes = np.minimum(boxes, [width, height, width, height])
        image = np.full([height, width, 3], 20, np.uint8)
        for channel, (x1, y1, x2, y2) in enumerate(boxes):
            image[y1:y2, x1:x2, channel] = 220
        pictures.append(image)
        labels = range(len(boxes))
        records.append(check.record(index, str(index), height, width, boxes, labels, [False] * len(boxes)))
        proposals[str(index)] = boxes
    source = Drawn(lambda i: pictures[i], COUNT)
    return DetectionDataset("painted", ["red", "green", "blue"], records, source).with_proposals(proposals)


def singles(data):
    """Images with their boxes and proposals, without any padding, as NumPy arrays."""
    for x, y in data.unbatch().as_numpy_iterator():
        height, width = x["image_shapes"]
        assert not x["images"][height:].any() and not x["images"][:, width:].any()
        filled = y["labels"] >= 0
        assert (y["boxes"][~filled] == -1).all() and not y["ignore"][~filled].any()
        proposals = x["proposals"][x["proposals"][:, 2] >= 0]
        yield x["images"][:height, :width], y["boxes"][filled], y["labels"][filled], proposals


@pytest.mark.parametrize(
    "options",
    [
        {"flip": 1.0},
        {"flip": 0.0, "crop": 1.0},
        {"flip": 0.0, "scale_jitter": (0.1, 2.0)},
        {"flip": 0.0, "scale_jitter": (0.1, 2.0), "canvas": True},
        MOVES,
    ],
)
def test_boxes_stay_where_they_were_painted(painted, options):
    data = painted.batches(3, image_size=SIZE, training=True, **options)
    seen = 0
    for _ in range(3):
        for image, boxes, labels, proposals in singles(data):
            np.testing.assert_array_equal(proposals, boxes)
            assert (boxes >= 0).all() and (boxes <= np.tile(image.shape[1::-1], 2) + 1e-3).all()
            for box, channel in zip(boxes, labels):
                rows, columns = np.nonzero(image[..., channel] > 120)
                if len(rows):
                    seen += 1
                    found = columns.min(), rows.min(), columns.max() + 1, rows.max() + 1
                    np.testing.assert_allclose(box, found, atol=1)
                else:
                    # Bilinear sampling steps over what is thinner than its stride.
                    assert min(box[2:] - box[:2]) <= 1
    assert seen > 60


@pytest.mark.parametrize("canvas", [False, True])
def test_an_image_does_not_depend_on_its_neighbors(painted, canvas):
    def images(batch_size):
        data = painted.batches(batch_size, image_size=SIZE, training=True, seed=4, canvas=canvas, **ALL)
        found = [[part.tobytes() for part in parts] for parts in singles(data)]
        # The order differs, for batches of the two formats come as they fill up.
        return sorted(found)

    assert images(1) == images(4)


def test_it_repeats_and_differs_between_epochs_and_seeds(painted):
    def epochs(seed):
        data = painted.batches(2, image_size=SIZE, training=True, seed=seed, **ALL)
        return [[boxes.tobytes() for _, boxes, *_ in singles(data) if len(boxes)] for _ in range(2)]

    first, other = epochs(1), epochs(2)
    assert first == epochs(1)
    assert not set(first[0]) & set(first[1])
    assert not set(first[0]) & set(other[0])


def test_the_length_is_known(painted):
    data = painted.batches(5, image_size=SIZE, training=True, **ALL)
    assert [len(list(data)) for _ in range(2)] == [len(data)] * 2


def test_nothing_happens_outside_training(painted):
    plain = list(singles(painted.batches(2, image_size=SIZE)))
    calm = list(singles(painted.batches(2, image_size=SIZE, **ALL)))
    for one, other in zip(plain, calm, strict=True):
        for part, other_part in zip(one, other):
            np.testing.assert_array_equal(part, other_part)


def test_photometric_moves_nothing(painted):
    plain = singles(painted.batches(1, image_size=SIZE, training=True))
    distorted = singles(painted.batches(1, image_size=SIZE, training=True, photometric=1.0))
    differ = 0
    for (image, *moved), (other, *other_moved) in zip(plain, distorted, strict=True):
        for part, other_part in zip(moved, other_moved):
            np.testing.assert_array_equal(part, other_part)
        assert image.shape == other.shape and other.min() >= 0 and other.max() <= 255
        differ += not np.array_equal(image, other)
    assert differ > COUNT / 2


@pytest.mark.parametrize("factor", [0.25, 1.0, 2.0])
def test_jitter_keeps_the_shapes_of_batches(painted, factor):
    plain = painted.batches(1, image_size=SIZE, training=True, seed=3)
    data = painted.batches(1, image_size=SIZE, training=True, seed=3, scale_jitter=(factor, factor))
    for (x, _), (still, _) in zip(data, plain, strict=True):
        assert x["images"].shape == still["images"].shape
        wanted = np.round(still["image_shapes"].numpy() * factor)
        np.testing.assert_array_equal(x["image_shapes"], np.minimum(wanted, x["images"].shape[1:3]))


def test_jitter_fills_the_canvas(painted):
    data = painted.batches(4, image_size=SIZE, training=True, canvas=True, scale_jitter=(9.0, 9.0))
    for x, _ in data:
        np.testing.assert_array_equal(x["image_shapes"], 128)


def test_proposals_are_padded_to_the_most_of_a_batch(painted):
    for x, y in painted.batches(4, image_size=SIZE):
        assert x["proposals"].shape == y["boxes"].shape and x["proposals"].dtype == tf.float32
        np.testing.assert_array_equal(x["proposals"], y["boxes"])
    empty = painted.with_proposals({str(index): np.zeros([0, 4]) for index in range(COUNT)})
    for x, _ in empty.batches(4, image_size=SIZE, training=True, crop=1.0):
        np.testing.assert_array_equal(x["proposals"], np.full([len(x["images"]), 1, 4], -1))
