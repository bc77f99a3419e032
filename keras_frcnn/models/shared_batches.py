"""Batches under a `tf.distribute.Strategy`: each replica trains on its rows of every batch.

A batch is padded before it is shared out, because the padded size decides where the anchors lie.
"""

from typing import Any

import keras
import tensorflow as tf

from keras_frcnn import _compat


def of_fit(
    strategy: tf.distribute.Strategy, data: Any, further: dict[str, Any]
) -> tuple[Any, dict[str, Any]]:
    """Share out the data of `fit`: its first argument, and the others by name, with "validation_data"."""
    if further.get("validation_data") is not None:
        further = {**further, "validation_data": repeated(strategy, further["validation_data"])}
    return shared_out(strategy, data), further


def shared_out(strategy: tf.distribute.Strategy, data: Any) -> Any:
    """Share out the batches of training.

    Args:
        strategy: of the model.
        data: `tf.data.Dataset` of batches of all replicas, each with a multiple of their number of images.

    Returns:
        `tf.distribute.DistributedDataset`; `data` itself without replicas to share it.

    Raises:
        ValueError: `data` is no `tf.data.Dataset`, or has a batch that cannot be divided by the replicas.
    """
    count = strategy.num_replicas_in_sync
    if count == 1 or isinstance(data, tf.distribute.DistributedDataset):
        return data
    _check(data, count)
    position = _compat.attribute_upstream(data, "position")
    uneven = [] if position is None else [size for size in position.order.sizes if size % count]
    if uneven:
        raise ValueError(
            f"{count} replicas cannot share a batch of {uneven[0]} images; give a batch size that {count} "
            "divides, and batches(..., drop_remainder=True)."
        )

    def rows(context):
        here = count // context.num_input_pipelines
        whole, first, own = count, context.input_pipeline_id * here, data
        # Only what `batches` returns: a function that was mapped over it could look at every image.
        if context.num_input_pipelines > 1 and hasattr(data, "of_part"):
            own = data.of_part(context.input_pipeline_id, context.num_input_pipelines)
            whole, first = here, 0

        def parts(*batch):
            size = tf.shape(tf.nest.flatten(batch)[0])[0]
            words = f"{count} replicas cannot share a batch whose number of images they do not divide."
            with tf.control_dependencies([tf.debugging.assert_equal(size % whole, 0, words)]):
                each = size // whole
            return tf.data.Dataset.range(here).map(
                lambda place: tf.nest.map_structure(lambda value: _part(value, first + place, each), batch)
            )

        return own.flat_map(parts).prefetch(2 * here)

    return _compat.with_cardinality(strategy.distribute_datasets_from_function(rows), data.cardinality())


def repeated(strategy: tf.distribute.Strategy, data: Any) -> Any:
    """Give every replica each whole batch of an evaluation, so that none is left out; see `shared_out`."""
    count = strategy.num_replicas_in_sync
    if count == 1 or isinstance(data, tf.distribute.DistributedDataset):
        return data
    _check(data, count)

    def copies(context):
        here = count // context.num_input_pipelines
        return data.flat_map(lambda *batch: tf.data.Dataset.from_tensors(batch).repeat(here)).prefetch(here)

    return _compat.with_cardinality(strategy.distribute_datasets_from_function(copies), data.cardinality())


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
