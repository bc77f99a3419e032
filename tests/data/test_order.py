"""The order of an epoch against a slow simulation, and the ways to begin in its middle."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_frcnn.data.order import Order, Position, endless, one_epoch
from keras_frcnn.data.readers import shapes

KINDS = st.lists(st.integers(0, 1), min_size=1, max_size=17)


def plain(order, epoch, batch=0):
    place = tf.constant([epoch, batch], tf.int64)
    return tuple(part.numpy() for part in order.images(place[0], place[1]))


def batches_by_hand(kinds, stream, size):
    """Each image joins the waiting ones of its kind; a full group is a batch; the rest come at the end."""
    waiting, made = {0: [], 1: []}, []
    for image in stream:
        group = waiting[kinds[image]]
        group.append(image)
        if len(group) == size:
            made.append(list(group))
            group.clear()
    return made + [group for group in waiting.values() if group]


@settings(max_examples=40, deadline=None)
@given(KINDS, st.integers(1, 5), st.integers(0, 3), st.integers(0, 3))
def test_groups_as_a_stream_would(kinds, size, seed, epoch):
    order = Order(kinds, size, seed, shuffle=True)
    index, _, number = plain(order, epoch)
    order_seed, _ = tf.unstack(tf.random.split(tf.constant([seed, epoch], tf.int64), 2))
    stream = tf.random.experimental.stateless_shuffle(tf.range(len(kinds)), order_seed).numpy()
    found = [index[number == one].tolist() for one in range(len(order.sizes))]
    assert found == batches_by_hand(kinds, stream, size)
    assert [len(one) for one in found] == order.sizes.tolist()


@settings(max_examples=40, deadline=None)
@given(KINDS, st.integers(1, 5), st.booleans(), st.data())
def test_begins_at_any_batch(kinds, size, fill, given_data):
    order = Order(kinds, size, 1, shuffle=True, fill=fill)
    batch = given_data.draw(st.integers(0, len(order.sizes) - 1))
    whole = plain(order, 2)
    for part, all_of_it in zip(plain(order, 2, batch), whole):
        np.testing.assert_array_equal(part, all_of_it[whole[2] >= batch])


@settings(max_examples=40, deadline=None)
@given(KINDS, st.integers(1, 5))
def test_fills_batches_with_images_of_the_same_epoch_and_kind(kinds, size):
    order = Order(kinds, size, 1, shuffle=True, fill=True)
    index, seeds, number = plain(order, 0)
    assert set(index) == set(range(len(kinds))) and np.all(order.sizes == size)
    assert len(index) == size * len(order.sizes) and len(np.unique(seeds, axis=0)) == len(seeds)
    for one in range(len(order.sizes)):
        assert len({kinds[image] for image in index[number == one]}) == 1
    fewest = min(np.bincount(index))
    for kind in set(kinds):
        times = np.bincount(index, minlength=len(kinds))[np.equal(kinds, kind)]
        assert times.min() >= fewest and times.max() - times.min() <= 1


def test_in_record_order_without_shuffling():
    index, _, number = plain(Order([0, 1, 0, 0, 1], 2, 0, shuffle=False), 7)
    assert index.tolist() == [0, 2, 1, 4, 3] and number.tolist() == [0, 0, 1, 1, 2]


def test_a_set_without_images():
    order = Order([], 2, 0, shuffle=True)
    assert len(order.sizes) == 0 and list(one_epoch(Position(order))) == []


def test_each_iteration_is_the_next_epoch_and_the_endless_series_has_them_all():
    order = Order([0, 1, 0, 0, 1, 1], 3, 4, shuffle=True)
    data = one_epoch(Position(order, 0, 3))
    assert order.place(0, 3) == (1, 1)
    first, second = ([int(index) for index, *_ in data] for _ in range(2))
    assert first == plain(order, 1, 1)[0].tolist() and second == plain(order, 2)[0].tolist()
    series = [int(index) for index, *_ in endless(Position(order, 1, 1)).take(9)]
    assert series == first + second


@pytest.mark.parametrize("first", [0, 2])
def test_parts_of_a_batch(first):
    order = Order([0] * 12 + [1] * 6, 6, 4, shuffle=True)
    _, _, number = plain(order, 0, first)
    parts = [order.in_part(*tf.constant(number)[None], first, part, 3).numpy() for part in range(3)]
    assert (np.sum(parts, axis=0) == 1).all()
    for one in set(number.tolist()):
        places = [np.flatnonzero(part[number == one]).tolist() for part in parts]
        assert places == [[0, 1], [2, 3], [4, 5]]
    # One that is left whole.
    assert order.in_part(tf.constant(number), first, 0, 1).numpy().all()


def test_a_position_moves_and_counts():
    order = Order([0, 1, 0, 0, 1, 1], 2, 4, shuffle=True)
    position = Position(order, 1)
    assert position.after(5) == (2, 1) and len(order.sizes) == 4
    data = one_epoch(position)
    position.go_to(0, 6)
    assert [int(index) for index, *_ in data] == plain(order, 1, 2)[0].tolist()
    assert (position.epoch, position.batch) == (2, 0)


@pytest.mark.parametrize("repeat", [False, True])
def test_batches_begin_where_they_are_told(repeat):
    scenes = shapes.load("train", 7)
    arguments = dict(image_size=(64, 80), training=True, seed=3, repeat=repeat, photometric=0.5, crop=0.5)
    data = scenes.batches(2, **arguments)
    series = list(data.take(8)) if repeat else [*data, *data]
    for epoch, batch in ((0, 3), (1, 1), (0, 5)):
        later = scenes.batches(2, **arguments, first_epoch=epoch, first_batch=batch)
        expected = series[4 * epoch + batch : 8 if repeat else 4 * (epoch + batch // 4) + 4]
        for one, other in zip(later.take(len(expected)), expected, strict=True):
            for value, wanted in zip(tf.nest.flatten(one), tf.nest.flatten(other), strict=True):
                np.testing.assert_array_equal(value, wanted)
        assert repeat or len(list(later)) == 4  # the epoch after it is whole


def test_what_comes_before_is_not_decoded():
    scenes = shapes.load("train", 40)
    drawn = []
    draw = scenes.source.image
    scenes.source.image = lambda index: drawn.append(int(index)) or draw(index)
    arguments = dict(image_size=(64, 80), training=True, cache=False)
    whole = [int(y["labels"].shape[0]) for _, y in scenes.batches(2, **arguments)]
    assert len(drawn) == 40 and len(whole) == 20
    drawn.clear()
    list(scenes.batches(2, **arguments, first_batch=18))
    assert len(drawn) == 4


@pytest.mark.parametrize("name", ["first_epoch", "first_batch"])
def test_bad_places(name):
    with pytest.raises(ValueError, match=f"{name} is -1; give 0 or more."):
        shapes.load("train", 2).batches(1, **{name: -1})
