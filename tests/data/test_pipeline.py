import re

import cv2
import numpy as np
import pytest
import tensorflow as tf

from keras_frcnn import images as image_ops
from keras_frcnn.data import load
from keras_frcnn.data.dataset import DetectionDataset
from keras_frcnn.data.readers import shapes
from keras_frcnn.data.records import BoxCheck
from keras_frcnn.data.sources import Drawn, Files

SIZES = [(40, 60), (60, 40), (50, 50), (30, 90), (90, 30), (41, 67), (64, 48)]


@pytest.fixture
def mixed():
    """Seven pictures of different sizes; number i has i % 3 bright boxes, of label i."""
    check, pictures, records = BoxCheck("mixed"), [], []
    for index, (height, width) in enumerate(SIZES):
        boxes = [[2, 3, 12, 20], [15, 5, 28, 25]][: index % 3]
        image = np.full([height, width, 3], index, np.uint8)
        for x1, y1, x2, y2 in boxes:
            image[y1:y2, x1:x2] = 200
        pictures.append(image)
        n = len(boxes)
        records.append(check.record(index, str(index), height, width, boxes, [index] * n, [False, True][:n]))
    return DetectionDataset(
        "mixed", [str(index) for index in range(7)], records, Drawn(lambda i: pictures[i], 7)
    )


def seen(dataset):
    """Which pictures, by their dark corner, came in which order."""
    return [int(round(float(value))) for x, _ in dataset for value in x["images"][:, 0, 0, 0]]


def test_what_a_batch_holds(mixed):
    data = mixed.batches(3, image_size=(60, 100))
    assert len(data) == 3
    order = []
    for x, y in data:
        height, width = x["images"].shape[1:3]
        shapes_ = x["image_shapes"].numpy()
        assert x["images"].dtype == tf.float32
        assert height == -(-shapes_[:, 0].max() // 32) * 32 and width == -(-shapes_[:, 1].max() // 32) * 32
        portrait = shapes_[:, 0] > shapes_[:, 1]
        assert portrait.all() or not portrait.any()
        members = [int(round(float(value))) for value in x["images"][:, 0, 0, 0]]
        order += members
        assert y["boxes"].shape[1] == max(1, max(member % 3 for member in members))
        for row, member in enumerate(members):
            record = mixed.records[member]
            new = image_ops.resized_shape(*SIZES[member], (60, 100))
            np.testing.assert_array_equal(shapes_[row], new)
            valid = x["images"][row, : new[0], : new[1]]
            np.testing.assert_allclose(
                valid, image_ops.resize(tf.constant(mixed.image(member)), new), atol=1e-4
            )
            assert float(tf.reduce_sum(x["images"][row])) == pytest.approx(float(tf.reduce_sum(valid)))
            n = len(record.labels)
            ratio = np.array([new[1] / record.width, new[0] / record.height] * 2)
            np.testing.assert_allclose(y["boxes"][row, :n], record.boxes * ratio, rtol=1e-5)
            np.testing.assert_array_equal(y["boxes"][row, n:], -1)
            np.testing.assert_array_equal(y["labels"][row], [member] * n + [-1] * (y["labels"].shape[1] - n))
            np.testing.assert_array_equal(y["ignore"][row, :n], record.ignore)
            assert not y["ignore"][row, n:].numpy().any()
    assert sorted(order) == list(range(7))


def test_a_resize_that_rounds_to_a_square_does_not_change_the_group():
    sizes = [(1001, 1000), (1000, 1001), (1001, 1000), (1000, 1000)]
    check = BoxCheck("nearly square")
    records = [check.record(index, "", *size, [], [], []) for index, size in enumerate(sizes)]
    source = Drawn(lambda index: np.full([*sizes[index], 3], index, np.uint8), len(sizes))
    data = DetectionDataset("nearly square", ["a"], records, source).batches(2, image_size=(60, 100))
    assert all((x["image_shapes"].numpy() == 60).all() for x, _ in data)
    assert seen(data) == [0, 2, 1, 3]


def test_canvas(mixed):
    data = mixed.batches(4, image_size=(60, 100), canvas=True)
    assert data.element_spec[0]["images"].shape.as_list() == [None, 128, 128, 3]
    assert [x["images"].shape[0] for x, _ in data] == [4, 3]
    assert seen(data) == list(range(7))
    assert len(data) == 2


@pytest.mark.parametrize("canvas", [False, True])
def test_each_epoch_has_every_image_once_in_its_own_order(mixed, canvas):
    data = mixed.batches(2, image_size=(60, 100), training=True, seed=5, flip=0, canvas=canvas)
    epochs = [seen(data) for _ in range(4)]
    assert all(sorted(epoch) == list(range(7)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) > 1
    again = mixed.batches(2, image_size=(60, 100), training=True, seed=5, flip=0, canvas=canvas)
    assert [seen(again) for _ in range(4)] == epochs
    other = mixed.batches(2, image_size=(60, 100), training=True, seed=6, flip=0, canvas=canvas)
    assert [seen(other) for _ in range(4)] != epochs


def test_the_global_seed_has_no_say(mixed):
    def epochs(global_seed):
        tf.random.set_seed(global_seed)
        data = mixed.batches(2, image_size=(60, 100), training=True, seed=5)
        return [[float(y["boxes"].numpy().sum()) for _, y in data] for _ in range(2)]

    assert epochs(1) == epochs(2)


def test_augmentation_differs_between_epochs_and_repeats(mixed):
    def epochs(seed):
        data = mixed.batches(1, image_size=(60, 100), training=True, seed=seed, short_sides=[30, 40, 50])
        return [
            [(tuple(x["image_shapes"][0].numpy()), y["boxes"].numpy().sum()) for x, y in data]
            for _ in range(3)
        ]

    first = epochs(1)
    assert first == epochs(1)
    assert sorted(first[0]) != sorted(first[1])


def gray(count, side):
    """Square pictures of one gray, which only brightness and contrast change, with one box of label i."""
    check = BoxCheck("gray")
    records = [check.record(i, str(i), side, side, [[2, 3, 8, 9]], [i], [False]) for i in range(count)]
    source = Drawn(lambda i: np.full([side, side, 3], 100, np.uint8), count)
    return DetectionDataset("gray", [str(i) for i in range(count)], records, source)


def whole_epoch(dataset, **options):
    """The only batch of an epoch, on a canvas: labels, shapes, boxes, and the gray of each image."""
    ((x, y),) = dataset.batches(len(dataset), training=True, canvas=True, **options)
    return y["labels"][:, 0], x["image_shapes"], y["boxes"][:, 0], x["images"][:, 0, 0, 0]


def test_the_draws_of_an_epoch_are_those_of_version_0_1():
    """A seed stands for the same training in every version."""
    options = {"flip": 0.5, "photometric": 0.5, "crop": 0.5, "short_sides": [12, 18, 24]}
    labels, shapes_, boxes, grays = whole_epoch(gray(8, 12), image_size=(12, 24), seed=7, **options)
    np.testing.assert_array_equal(labels, [1, 5, 7, 2, 0, 3, 6, 4])
    np.testing.assert_array_equal(
        shapes_, [[24, 24], [12, 12], [16, 24], [12, 13], [18, 22], [24, 24], [24, 24], [12, 12]]
    )
    expected = [
        [4, 6, 16, 18],
        [0, 0, 10.29, 10.29],
        [9.6, 0, 24, 13.71],
        [0, 0, 7.22, 9],
        [8.8, 0, 22, 11.25],
        [4, 6, 16, 18],
        [4, 6, 16, 18],
        [2, 3, 8, 9],
    ]
    np.testing.assert_allclose(boxes, expected, atol=0.01)
    np.testing.assert_allclose(grays, [148, 148, 100, 100, 100, 100, 71, 100])
    _, shapes_, *_ = whole_epoch(gray(8, 12), image_size=(12, 24), seed=7, scale_jitter=(0.5, 2.0))
    np.testing.assert_array_equal(shapes_, np.repeat([14, 11, 20, 6, 6, 15, 16, 17], 2).reshape(8, 2))


def test_whether_to_distort_says_nothing_of_how_much():
    *_, grays = whole_epoch(gray(400, 8), image_size=(8, 8), photometric=0.5)
    # Of the half that is distorted a quarter gets neither brightness nor contrast. 0.024 is the deviation.
    assert np.mean(grays != 100) == pytest.approx(0.5 * 0.75, abs=0.06)


def test_flip_mirrors_boxes_with_pixels(mixed):
    plain = {seen([batch])[0]: batch for batch in mixed.batches(1, image_size=(60, 100))}
    for x, y in mixed.batches(1, image_size=(60, 100), training=True, flip=1.0):
        height, width = x["image_shapes"][0].numpy()
        image = x["images"][0, :height, :width].numpy()
        member = int(round(float(image[0, 0, 0])))
        np.testing.assert_allclose(image[:, ::-1], plain[member][0]["images"][0, :height, :width], atol=1e-3)
        for box, label in zip(y["boxes"][0].numpy(), y["labels"][0].numpy()):
            if label < 0:
                np.testing.assert_array_equal(box, -1)
                continue
            x1, y1, x2, y2 = np.round(box).astype(int)
            assert image[y1 + 2 : y2 - 2, x1 + 2 : x2 - 2].min() > 150
            assert image[max(y1 - 4, 0), x1].max() < 100


def test_flip_has_the_probability_asked_for():
    dataset = shapes.load("train", 60)
    for flip, low, high in ((0.0, 0, 0), (0.3, 6, 32), (1.0, 60, 60)):
        batches = dataset.batches(1, image_size=(64, 80), training=True, flip=flip, seed=3)
        unflipped = {tuple(np.round(record.boxes.reshape(-1) / 4, 3)) for record in dataset.records}
        flipped = sum(
            tuple(np.round(y["boxes"].numpy().reshape(-1), 3)) not in unflipped
            for _, y in batches
            if y["labels"][0, 0] >= 0
        )
        empty = sum(len(record.labels) == 0 for record in dataset.records)
        assert max(low - empty, 0) <= flipped <= high


@pytest.mark.parametrize("short_sides", [[32, 48], (32, 48), range(32, 37)])
def test_short_sides(mixed, short_sides):
    data = mixed.batches(1, image_size=(60, 1000), training=True, short_sides=short_sides)
    found = {int(tf.reduce_min(x["image_shapes"])) for _ in range(8) for x, _ in data}
    assert found == set(short_sides)
    calm = mixed.batches(1, image_size=(60, 1000), short_sides=short_sides)
    assert {int(tf.reduce_min(x["image_shapes"])) for x, _ in calm} == {60}


def test_originals(mixed):
    for index, image in enumerate(mixed.images()):
        assert image.dtype == tf.uint8
        np.testing.assert_array_equal(image, mixed.image(index))


def test_an_undecodable_image_is_named(tmp_path, mixed):
    paths = []
    for index in range(7):
        paths.append(str(tmp_path / f"{index}.png"))
        cv2.imwrite(paths[-1], mixed.image(index))
    contents = (tmp_path / "4.png").read_bytes()
    (tmp_path / "4.png").write_bytes(contents[:60])
    damaged = DetectionDataset("damaged", mixed.class_names, mixed.records, Files(paths))
    for data in (damaged.images(), damaged.batches(2, image_size=(60, 100))):
        with pytest.raises(
            tf.errors.InvalidArgumentError, match=r"4\.png cannot be decoded as an image; replace it"
        ):
            for _ in data:
                pass
    with pytest.raises(ValueError, match=r"4\.png cannot be decoded as an image; replace it"):
        damaged.image(4)
    np.testing.assert_array_equal(damaged.image(-1), mixed.image(6))


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"batch_size": 0}, "batch_size is 0; give a whole number, at least 1."),
        ({"batch_size": "4"}, "batch_size is '4'; give a whole number, at least 1."),
        ({"batch_size": 2.5}, "batch_size is 2.5; give a whole number, at least 1."),
        ({"image_size": 320}, "image_size is 320; give (short side, limit of the long side) in pixels, two"),
        ({"image_size": "320"}, "image_size is '320'; give (short side, limit of the long side)"),
        ({"image_size": (100, 60)}, "image_size is (100, 60); give (short side, limit of the long side)"),
        ({"seed": -1}, "seed is -1; give 0 or more."),
        ({"flip": -0.1}, "flip is -0.1; give a probability from 0 to 1."),
        ({"flip": 50}, "flip is 50; give a probability from 0 to 1."),
        ({"photometric": 2}, "photometric is 2; give a probability from 0 to 1."),
        ({"crop": -1}, "crop is -1; give a probability from 0 to 1."),
        ({"scale_jitter": (0, 2)}, "scale_jitter is (0, 2); give (low, high), two factors above 0"),
        ({"scale_jitter": (2, 1)}, "scale_jitter is (2, 1); give (low, high), two factors above 0"),
        ({"scale_jitter": [1]}, "scale_jitter is [1]; give (low, high), two factors above 0"),
        ({"short_sides": []}, "short_sides is []; give one or more sides of at least 1 pixel."),
        ({"short_sides": (480, 0)}, "short_sides is (480, 0); give one or more sides of at least 1 pixel."),
    ],
)
def test_bad_arguments(mixed, arguments, sentence):
    with pytest.raises(ValueError, match=re.escape(sentence)):
        mixed.batches(**{"batch_size": 1, **arguments})


def test_a_training_set_in_which_nothing_counts(voc_folder):
    text = (voc_folder / "Annotations/a.xml").read_text()
    load(f"voc:{voc_folder}@train").batches(1, image_size=(40, 60), training=True)
    one = "<object><name>dog</name>"
    (voc_folder / "Annotations/a.xml").write_text(text.replace(one, one + "<difficult>1</difficult>"))
    ignored = load(f"voc:{voc_folder}@train")
    with pytest.raises(
        ValueError, match="has no object that counts .2 images, 2 ignored objects., so nothing"
    ):
        ignored.batches(1, image_size=(40, 60), training=True)
    ignored.batches(1, image_size=(40, 60))
