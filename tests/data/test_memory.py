"""Decoded images in memory: the same batches, each image decoded once, and the decision about it."""

import dataclasses
import itertools

import cv2
import numpy as np
import pytest
import tensorflow as tf

from keras_frcnn.data import memory
from keras_frcnn.data.dataset import DetectionDataset
from keras_frcnn.data.readers import shapes
from keras_frcnn.data.sources import Drawn, Files, Kept

AUGMENTED = dict(training=True, photometric=0.7, crop=0.5, scale_jitter=(0.5, 1.5), short_sides=(64, 96))


@pytest.fixture
def counted():
    """Six scenes, and the list of those that were drawn."""
    dataset, drawn = shapes.load("val", 6), []

    def draw(index):
        drawn.append(int(index))
        return dataset.image(index).copy()

    return DetectionDataset("six", dataset.class_names, dataset.records, Drawn(draw, 6)), drawn


@pytest.mark.parametrize("arguments", [{}, AUGMENTED])
def test_the_same_batches_and_one_look_at_each_image(counted, arguments):
    dataset, drawn = counted
    plain, kept = (
        dataset.batches(2, image_size=(96, 128), seed=4, cache=cache, **arguments) for cache in (False, True)
    )
    expected = [list(plain) for _ in range(3)]
    assert sorted(drawn) == sorted([*range(6)] * 3)
    drawn.clear()
    for epoch in expected:
        for one, other in zip(kept, epoch, strict=True):
            for value, wanted in zip(tf.nest.flatten(one), tf.nest.flatten(other), strict=True):
                np.testing.assert_array_equal(value, wanted)
    assert sorted(drawn) == [*range(6)]


def test_kept_images_are_those_of_the_source(counted):
    dataset, drawn = counted
    kept = Kept(dataset.source)
    for index in (3, 1, 3):
        np.testing.assert_array_equal(kept.image(index), dataset.source.image(index))
        np.testing.assert_array_equal(kept.tensor(tf.constant(index)), kept.image(index))
    assert len(kept) == 6


def test_an_undecodable_image_is_named(tmp_path, counted):
    dataset, _ = counted
    cv2.imwrite(str(tmp_path / "fine.png"), np.zeros([256, 320, 3]))
    (tmp_path / "cut.png").write_bytes((tmp_path / "fine.png").read_bytes()[:60])
    paths = [tmp_path / ("cut.png" if index == 2 else "fine.png") for index in range(6)]
    damaged = DetectionDataset("damaged", dataset.class_names, dataset.records, Files(paths))
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"cut\.png cannot be decoded as an image"):
        list(damaged.batches(1, cache=True))


def test_what_is_kept_by_default(counted, monkeypatch):
    dataset, drawn = counted
    size = 6 * 3 * 256 * 320
    assert memory.decoded_bytes(dataset) == size
    for free, keeps in ((4 * size, True), (4 * size - 1, False), (None, False)):
        monkeypatch.setattr(memory, "available_bytes", lambda free=free: free)
        assert memory.decide(dataset)[0] == keeps
        drawn.clear()
        data = dataset.batches(6, image_size=(64, 80))
        assert [len(list(data)) for _ in range(2)] == [1, 1]
        assert len(drawn) == (6 if keeps else 12)
        assert memory.decide(dataset, True)[0] and not memory.decide(dataset, False)[0]


@pytest.mark.parametrize(
    ("free", "cache", "sentence"),
    [
        (8e9, None, "Keeping 6 decoded images, 1 MB, in memory, of which 8.0 GB are free."),
        (3e6, None, "Not keeping 6 decoded images, 1 MB, in memory: more than a quarter of the 3 MB free."),
        (None, None, "Not keeping 6 decoded images, 1 MB, in memory, because this system does not say"),
        (3e6, True, "Keeping 6 decoded images, 1 MB, in memory, as asked for."),
        (8e9, False, "Not keeping 6 decoded images, 1 MB, in memory, as asked for."),
    ],
)
def test_the_sentence_for_the_log(counted, monkeypatch, free, cache, sentence):
    monkeypatch.setattr(memory, "available_bytes", lambda: free)
    assert memory.decide(counted[0], cache)[1].startswith(sentence)


def test_a_container_has_less_memory_than_the_machine(tmp_path, monkeypatch):
    whole = memory.available_bytes()
    limit, used = tmp_path / "max", tmp_path / "current"
    used.write_text("900\n")
    monkeypatch.setattr(memory, "_CGROUPS", ((str(limit), str(used)),))
    for text, expected in (("1000", 100), ("500", 0)):
        limit.write_text(text)
        assert memory.available_bytes() == (None if whole is None else expected)
    limit.write_text("max")
    assert whole is None or memory.available_bytes() > 1000


def test_going_on_without_end_gives_the_epochs_one_after_another(counted):
    dataset, _ = counted
    arguments = dict(image_size=(64, 80), seed=2, **{**AUGMENTED, "short_sides": None})
    data = dataset.batches(1, **arguments)
    epochs = itertools.chain(*(iter(data) for _ in range(3)))
    endless = dataset.batches(1, repeat=True, **arguments).take(18)
    for one, other in zip(epochs, endless, strict=True):
        for value, wanted in zip(tf.nest.flatten(one), tf.nest.flatten(other), strict=True):
            np.testing.assert_array_equal(value, wanted)


def test_batches_without_end_are_full(counted):
    dataset, _ = counted
    records = [
        dataclasses.replace(record, height=320, width=256) if index % 3 == 0 else record
        for index, record in enumerate(dataset.records)
    ]
    mixed = DetectionDataset("mixed", dataset.class_names, records, dataset.source)
    assert len(mixed.batches(4)) == 2
    for x, _ in mixed.batches(4, training=True, repeat=True, image_size=(64, 80)).take(7):
        assert x["images"].shape[0] == 4
