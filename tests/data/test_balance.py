"""Repeat factor sampling against an obvious oracle, and everything that holds for any order."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_frcnn.data.balance import Repeats, repeat_factors
from keras_frcnn.data.order import Order, Position, endless, one_epoch
from keras_frcnn.data.readers import shapes
from keras_frcnn.training.recipe import Recipe
from keras_frcnn.training.recipe_files import from_yaml, to_yaml

KINDS_AND_FACTORS = st.lists(
    st.tuples(st.integers(0, 1), st.one_of(st.just(1.0), st.floats(1, 5))), min_size=1, max_size=15
)


def scenes_with(objects):
    """Scenes of two classes; `objects` has pairs of label and ignore for each."""
    scenes = shapes.load("train", len(objects))
    scenes.class_names = "common", "rare"
    scenes.records = [
        dataclasses.replace(
            record,
            boxes=np.tile(np.array([[5, 5, 60, 60]], np.float32), (len(found), 1)),
            labels=np.array([label for label, _ in found], np.int32),
            ignore=np.array([ignore for _, ignore in found], bool),
            area=np.full(len(found), 3025.0, np.float32),
        )
        for record, found in zip(scenes.records, objects)
    ]
    return scenes


def factors_by_hand(objects, threshold):
    factors = []
    for found in objects:
        largest = 1.0
        for label, ignore in found:
            if not ignore:
                share = sum((label, False) in others for others in objects) / len(objects)
                largest = max(largest, (threshold / share) ** 0.5)
        factors.append(largest)
    return factors


OBJECTS = st.lists(st.lists(st.tuples(st.integers(0, 1), st.booleans()), max_size=3), min_size=1, max_size=9)


@settings(max_examples=40, deadline=None)
@given(OBJECTS, st.floats(0.01, 1))
def test_factors_are_those_of_lvis(objects, threshold):
    factors = repeat_factors(scenes_with(objects).records, 2, threshold)
    np.testing.assert_allclose(factors, factors_by_hand(objects, threshold))


def epoch_of(order, epoch):
    return tuple(part.numpy() for part in order.images(*tf.constant([epoch, 0], tf.int64)))


@settings(max_examples=40, deadline=None)
@given(KINDS_AND_FACTORS, st.integers(1, 4), st.booleans(), st.integers(0, 3))
def test_every_epoch_has_the_same_batches_and_each_image_its_times(pairs, size, fill, epoch):
    kinds, factors = map(np.array, zip(*pairs))
    repeats = Repeats(kinds, factors)
    order = Order(kinds, size, 1, True, fill, repeats)
    index, seeds, number = epoch_of(order, epoch)
    assert np.bincount(number).tolist() == order.sizes.tolist()
    assert len(np.unique(seeds, axis=0)) == len(index)
    for one in range(len(order.sizes)):
        assert len({kinds[image] for image in index[number == one]}) == 1
    times = np.bincount(index, minlength=len(kinds))
    assert np.all(times >= np.floor(factors))
    if not fill:
        for kind in set(kinds):
            # The fractions are scaled to a whole sum, so an image may come once more than its factor says.
            assert abs(times[kinds == kind].sum() - factors[kinds == kind].sum()) <= 0.5 + 1e-4
            assert np.all(times <= np.floor(factors) + 2)


def test_the_mean_over_epochs_is_the_factor():
    kinds = np.array([0] * 6 + [1] * 3)
    factors = np.array([1.0, 1.25, 1.25, 1.5, 2.75, 3.25, 1.0, 1.7, 2.3])
    order = Order(kinds, 4, 7, True, repeats=Repeats(kinds, factors))
    images = tf.function(order.images)
    epochs = [
        np.bincount(images(*tf.constant([epoch, 0], tf.int64))[0], minlength=9) for epoch in range(1500)
    ]
    np.testing.assert_allclose(np.mean(epochs, 0), factors, atol=0.04)
    assert len({tuple(times) for times in epochs}) > 10


@pytest.mark.parametrize("repeat", [False, True])
def test_batches_begin_where_they_are_told(repeat):
    scenes = scenes_with([[(0, False)]] * 6 + [[(1, False)]])
    arguments = dict(image_size=(64, 80), training=True, seed=3, repeat=repeat, balance=1.0)
    data = scenes.batches(2, **arguments)
    # The rare class is in one of 7 images, which comes sqrt(7) times, the others sqrt(7 / 6) times.
    sizes = [2] * 5 if repeat else [2] * 4 + [1]
    series = list(data.take(15)) if repeat else [*data, *data, *data]
    assert [len(y["labels"]) for _, y in series] == 3 * sizes
    for epoch, batch in ((0, 3), (1, 1), (2, 4)):
        later = scenes.batches(2, **arguments, first_epoch=epoch, first_batch=batch)
        expected = series[5 * epoch + batch : 15 if repeat else 5 * epoch + 5]
        for one, other in zip(later.take(len(expected)), expected, strict=True):
            for value, wanted in zip(tf.nest.flatten(one), tf.nest.flatten(other), strict=True):
                np.testing.assert_array_equal(value, wanted)


def test_the_length_is_known_and_the_endless_series_is_the_same():
    kinds, factors = [0, 1, 0, 0], np.array([1, 2.5, 1, 3.25])
    order = Order(kinds, 2, 0, True, repeats=Repeats(kinds, factors))
    position = Position(order)
    epochs = [int(index) for data in [one_epoch(position)] * 2 for index, *_ in data]
    assert [int(index) for index, *_ in endless(Position(order)).take(len(epochs))] == epochs
    scenes = scenes_with([[(0, False)]] * 6 + [[(1, False)]])
    assert len(scenes.batches(2, training=True, balance=1.0)) == 5
    assert len(scenes.batches(2, training=False, balance=1.0)) == 4


def test_nothing_changes_without_rare_classes_and_without_balance():
    scenes = scenes_with([[(0, False)]] * 5)
    plain, off, common = (
        [y["boxes"] for _, y in scenes.batches(2, image_size=(64, 80), training=True, **more)]
        for more in ({}, {"balance": 0.0}, {"balance": 0.5})
    )
    assert all(np.array_equal(one, other) for one, other in zip(plain, off, strict=True))
    assert len(common) == len(plain)


@pytest.mark.parametrize("balance", [-0.1, 1.5, float("nan")])
def test_bad_thresholds(balance):
    with pytest.raises(ValueError, match="balance is .*; give a share of the images from 0"):
        shapes.load("train", 2).batches(1, training=True, balance=balance)
    with pytest.raises(ValueError, match="balance is .*; it must be a share of the images"):
        Recipe(balance=balance)


def test_a_recipe_keeps_it():
    recipe = Recipe(balance=0.25)
    assert from_yaml(to_yaml(recipe), "again") == recipe
