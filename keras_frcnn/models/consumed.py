"""What `fit` has consumed of its data."""

import copy
from typing import Any

import tensorflow as tf

from keras_frcnn import _compat


class Consumed:
    """The data of the running `fit`, and the number of batches that training steps have used.

    Three counts differ: batches in all (`batches`), epoch and step of `fit`, which a checkpoint keeps, and
    epoch and batch of the data, into which `place` converts batches in all.

    The optimizer's `iterations` is none of them: an overflow in float16 does not advance it, and
    accumulation divides it. This is no part of the model's weights, and no file of a model has it.

    Attributes:
        batches: int64 variable.
        position: `data.order.Position` of the running `fit`; None if its data has none.
        undo: list of functions that `fit` calls when it ends, also by an exception.
    """

    def __init__(self):
        self.position = None
        self.undo = []
        variable: Any = tf.Variable
        self.batches = variable(
            0, trainable=False, dtype=tf.int64, aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA
        )

    def begin(self, data):
        """Note the data of a `fit`."""
        self.position = _compat.attribute_upstream(data, "position")
        self.note_start()

    def note_start(self):
        """Note the place in the data where the next batch comes from."""
        self._start = copy.copy(self.position), int(self.batches.numpy())

    def place(self, batches):
        """Find the epoch and the batch of the data, int each, that come after a number of batches in all."""
        position, before = self._start
        return position.after(batches - before)

    def end(self):
        """Forget the data, and undo what callbacks changed for it."""
        self.position = None
        while self.undo:
            self.undo.pop()()
