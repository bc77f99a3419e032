"""Batches under a `tf.distribute.Strategy`: each replica trains on its rows of every batch.

A batch is padded before it is shared out, because the padded size decides where the anchors lie.
"""

from typing import Any

import keras
import tensorflow as tf

from keras_frcnn import _compat


def shared_out(strategy: tf.distribute.Strategy, data: Any) -> Any:
    """Share out the batches of `fit`.

    Args:
        strategy: of the model.
        data: `tf.data.Dataset` of batches of all replicas. A batch whose rows cannot be divided by the number
            of replicas is left out.

    Returns:
        `tf.distribute.DistributedDataset`; `data` itself without replicas to share it.

    Raises:
        ValueError: `data` is no `tf.data.Dataset`, and there are several replicas.
    """
    count = strategy.num_replicas_in_sync
    if count == 1 or isinstance(data, tf.distribute.DistributedDataset):
        return data
    _check(data, count)

    def rows(context):
        here = count // context.num_input_pipelines
        first = context.input_pipeline_id * here

        def parts(*batch):
            each = tf.shape(tf.nest.flatten(batch)[0])[0] // count
            return tf.data.Dataset.range(here).map(
                lambda place: tf.nest.map_structure(lambda value: _part(value, first + place, each), batch)
            )

        whole = data.filter(lambda *batch: tf.shape(tf.nest.flatten(batch)[0])[0] % count == 0)
        return whole.flat_map(parts).prefetch(2 * here)

    return strategy.distribute_datasets_from_function(rows)


def repeated(strategy: tf.distribute.Strategy, data: Any) -> Any:
    """Give every replica each whole batch of an evaluation, so that none is left out; see `shared_out`."""
    count = strategy.num_replicas_in_sync
    if count == 1 or data is None or isinstance(data, tf.distribute.DistributedDataset):
        return data
    _check(data, count)

    def copies(context):
        here = count // context.num_input_pipelines
        return data.flat_map(lambda *batch: tf.data.Dataset.from_tensors(batch).repeat(here)).prefetch(here)

    return strategy.distribute_datasets_from_function(copies)


def synchronize_batch_norm(model: Any) -> None:
    """Let batch normalization that trains see the images of all replicas, if there are several.

    Args:
        model: a Keras model, from within its strategy.
    """
    several = model.distribute_strategy.num_replicas_in_sync > 1
    layers = [model]
    while layers:
        layer = layers.pop()
        layers += _compat.layers_inside(layer)
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.synchronized = several


def _check(data, count):
    if not isinstance(data, tf.data.Dataset):
        raise ValueError(
            f"{count} replicas cannot share a {type(data).__name__}; give a tf.data.Dataset of batches for "
            "all of them, such as dataset.batches(...)."
        )


def _part(value, place, each):
    start = tf.cast(place, tf.int32) * each
    return value[start : start + each]
