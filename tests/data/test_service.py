"""The tf.data service: batches made by workers, of whatever machine."""

import warnings

import numpy as np
import pytest
import tensorflow as tf

from keras_frcnn import data

service = tf.data.experimental.service


@pytest.fixture
def dispatcher():
    """A dispatcher with two workers, in this process."""
    server = service.DispatchServer()
    config = service.WorkerConfig(dispatcher_address=server.target.partition("://")[2])
    workers = [service.WorkerServer(config) for _ in range(2)]
    yield server.target
    del workers


@pytest.mark.slow
def test_training_reads_from_workers(dispatcher, voc_folder, make_model):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dataset = data.load(f"voc:{voc_folder}@train")
    batches = dataset.batches(1, image_size=(96, 128), training=True, repeat=True)
    far = batches.apply(service.distribute(service.ShardingPolicy.DYNAMIC, dispatcher))
    assert far.element_spec == batches.element_spec
    sums = {float(tf.reduce_sum(x["images"])) for x, _ in far.take(12)}
    assert len(sums) >= 2
    model = make_model(dataset.class_names)
    model.compile()
    history = model.fit(far, epochs=2, steps_per_epoch=2, shuffle=False, verbose=0)
    assert np.isfinite(history.history["loss"]).all()


def test_nothing_of_it_is_python(voc_folder):
    """What another process runs must hold no function of this one."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dataset = data.load(f"voc:{voc_folder}@train")
    arguments = dict(training=True, repeat=True, photometric=0.5, crop=0.5, balance=0.9)
    batches = dataset.batches(2, image_size=(96, 128), **arguments)
    graph = batches._as_serialized_graph().numpy()
    assert b"RangeDataset" in graph and b"PyFunc" not in graph
