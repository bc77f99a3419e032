"""A running mean for the logs."""

import keras
import tensorflow as tf


class Figure(keras.metrics.Mean):
    """A mean whose variables are equal in all replicas, which agree on a value before they log it.

    Keras's own keeps a part in each replica, and reading it makes all workers meet: a checkpoint that one of
    them writes would wait for the others.
    """

    def add_variable(self, shape, initializer, dtype=None, aggregation="only_first_replica", name=None):
        return keras.Variable(
            initializer, shape=shape, dtype=dtype, trainable=False, aggregation=aggregation, name=name
        )


def logged(figures, logs, strategy):
    """Add the values of a step to running means.

    Args:
        figures: list of `Figure`.
        logs: dict from their names to pairs of a float32 scalar, equal in all replicas, and its weight.
        strategy: `tf.distribute.Strategy` of the model.

    Returns:
        dict from names to means.
    """
    for figure in figures:
        value, weight = logs[figure.name]
        figure.update_state(value, sample_weight=weight)
    # Of several workers, Keras takes the mean over the first axis.
    shape = [1] if isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy) else []
    return {figure.name: tf.reshape(figure.result(), shape) for figure in figures}
