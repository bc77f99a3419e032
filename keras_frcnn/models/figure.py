"""A running mean for the logs."""

import keras


class Figure(keras.metrics.Mean):
    """A mean whose variables are equal in all replicas, which agree on a value before they log it.

    Keras's own keeps a part in each replica, and reading it makes all workers meet: a checkpoint that one of
    them writes would wait for the others.
    """

    def add_variable(self, shape, initializer, dtype=None, aggregation="only_first_replica", name=None):
        return keras.Variable(
            initializer, shape=shape, dtype=dtype, trainable=False, aggregation=aggregation, name=name
        )
