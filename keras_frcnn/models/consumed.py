"""What `fit` has consumed of its data."""

from typing import Any

import tensorflow as tf


class Consumed:
    """The data of the running `fit`, and the number of batches that training steps have used.

    The optimizer's `iterations` does not tell it: an overflow in float16 does not advance it, and
    accumulation divides it. This is no part of the model's weights, and no file of a model has it.

    Attributes:
        data: the `x` of the running `fit`, or None.
        batches: int64 variable.
        undo: list of functions that `fit` calls when it ends, also by an exception.
    """

    def __init__(self):
        self.data = None
        self.undo = []
        variable: Any = tf.Variable
        self.batches = variable(
            0, trainable=False, dtype=tf.int64, aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA
        )
