"""What replicas share, in one process; several processes are in `test_processes.py`."""

import dataclasses
import json

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_frcnn as kf
from keras_frcnn import replicas
from keras_frcnn.data.order import Order
from keras_frcnn.data.sources import Drawn
from keras_frcnn.models import shared_batches
from keras_frcnn.training import strategies


def test_one_replica_shares_with_nobody():
    values = {"a": tf.constant([1.0, 2.0])}
    assert replicas.count() == 1 and replicas.total(values) is values
    assert replicas.own_rows(values["a"]) is values["a"] and replicas.rows_of_all(3) == 3
    assert replicas.worker(tf.distribute.get_strategy()) == (0, 1)
    assert replicas.total_of_known([None, values["a"]]) == [None, values["a"]]
    data = tf.data.Dataset.range(3)
    assert shared_batches.shared_out(tf.distribute.get_strategy(), data) is data


@pytest.mark.parametrize("kinds", [[0] * 10, [0, 1] * 5, [0] * 7 + [1] * 3])
def test_what_an_epoch_cannot_fill_is_left_out(kinds):
    whole = Order(kinds, 4, seed=1, shuffle=True)
    full = Order(kinds, 4, seed=1, shuffle=True, drop_remainder=True)
    index, seeds, number = (part.numpy() for part in whole.images(*tf.constant([2, 0], tf.int64)))
    kept = [part.numpy() for part in full.images(*tf.constant([2, 0], tf.int64))]
    assert (full.sizes == 4).all() and len(full.sizes) == sum(whole.sizes == 4)
    assert len(kept[0]) == len(kept[1]) == len(kept[2]) == 4 * len(full.sizes)
    np.testing.assert_array_equal(kept[0], index[: len(kept[0])])
    np.testing.assert_array_equal(kept[1], seeds[: len(kept[0])])
    np.testing.assert_array_equal(kept[2], number[: len(kept[0])])


@pytest.fixture
def two():
    """A strategy of two replicas on one device: enough to ask, not to train."""
    return tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])


def test_refuses_what_two_replicas_cannot_share(two):
    shapes = kf.data.load("shapes@val")
    with pytest.raises(ValueError, match=r"cannot share a batch of 3 images.*drop_remainder=True"):
        shared_batches.shared_out(two, shapes.batches(3, image_size=(64, 96), training=True))
    with pytest.raises(ValueError, match="2 replicas cannot share a list"):
        shared_batches.shared_out(two, [1])
    with pytest.raises(ValueError, match=r"--batch-size 3 counts the images of all 2 replicas.* such as 4"):
        strategies.check_batch_size(two, 3)
    assert "2 replicas share each batch of 4 images, 2 on each" in strategies.sentence(two, 4, 0.01)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"crop": 1.0, "photometric": 1.0, "short_sides": [40, 80]},
        {"canvas": True, "scale_jitter": (0.3, 1.5)},
    ],
)
def test_a_worker_decodes_its_part_and_gets_the_same_batches(options, scenes):
    decoded = []

    def draw(index):
        decoded.append(int(index))
        return images[index]

    images = [scenes.image(index)[: 60 + 5 * index] for index in range(8)]
    records = [
        dataclasses.replace(record, height=len(image), width=image.shape[1])
        for record, image in zip(scenes.records, images)
    ]
    drawn = kf.data.DetectionDataset("drawn", scenes.class_names, records, Drawn(draw, 8))
    arguments = {
        "image_size": (64, 160),
        "training": True,
        "seed": 3,
        "cache": False,
        "first_batch": 1,
        **options,
    }
    whole = list(drawn.batches(4, **arguments, drop_remainder=True))
    decoded.clear()
    data = drawn.batches(4, **arguments, drop_remainder=True).of_part(1, 2)
    parts = list(data)
    assert len(parts) == len(whole) == 1 and len(set(decoded)) == 2
    whole_spec = drawn.batches(4, **arguments, drop_remainder=True).element_spec
    assert [spec.shape for spec in tf.nest.flatten(data.element_spec)] == [
        spec.shape for spec in tf.nest.flatten(whole_spec)
    ]
    for (x, y), (all_x, all_y) in zip(parts, whole):
        assert x.keys() == all_x.keys() and y.keys() == all_y.keys()
        for name, rows in {**x, **y}.items():
            np.testing.assert_array_equal(rows, {**all_x, **all_y}[name][2:])


def test_a_kind_that_fills_no_batch_is_not_left_out_silently():
    shapes = kf.data.load("shapes@val")
    with pytest.raises(ValueError, match="images in landscape or in portrait, which fill no batch of 500"):
        shapes.batches(500, image_size=(64, 96), training=True, drop_remainder=True)


def test_a_batch_of_an_own_pipeline_that_cannot_be_divided_is_refused(two):
    data = tf.data.Dataset.from_tensor_slices(np.zeros([9, 2], np.float32)).batch(3)
    with pytest.raises(tf.errors.InvalidArgumentError, match="2 replicas cannot share a batch"):
        next(iter(shared_batches.shared_out(two, data)))


def test_one_worker_agrees_with_itself(two):
    assert replicas.agree(two, 3)


def test_a_worker_knows_its_place():
    class Strategy:
        cluster_resolver = tf.distribute.cluster_resolver.SimpleClusterResolver(
            tf.train.ClusterSpec({"chief": ["a:1"], "worker": ["b:1", "c:1"]}), task_type="worker", task_id=1
        )

    assert replicas.worker(Strategy()) == (2, 3)


@pytest.mark.parametrize(
    "text, sentence",
    [
        (None, "--strategy multi_worker needs the names of all workers; set TF_CONFIG"),
        ("{", "TF_CONFIG is '{'; give JSON like"),
        (json.dumps({"cluster": {}}), "TF_CONFIG is"),
    ],
)
def test_several_processes_need_names(text, sentence, monkeypatch):
    monkeypatch.delenv("SLURM_PROCID", raising=False)
    monkeypatch.delenv("TF_CONFIG", raising=False)
    if text:
        monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(ValueError, match=sentence):
        strategies.open_strategy("multi_worker")


def test_batch_normalization_is_synchronized_only_between_replicas(make_model):
    model = make_model()
    model.compile()
    norms = [layer for layer in model.backbone.layers if isinstance(layer, keras.layers.BatchNormalization)]
    assert norms and not any(layer.synchronized for layer in norms)
