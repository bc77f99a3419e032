"""Updates that change nothing where numbers are not finite."""

from typing import Any

import keras
import tensorflow as tf

from keras_frcnn import _compat


class FiniteUpdate:
    """Apply gradients only if the loss, the gradients, the learning rate and the statistics are finite.

    Otherwise the weights, the moving statistics and the state of the optimizer stay as they were before the
    step. In float16, gradients that overflow are left to the optimizer, which lowers its loss scale and does
    not change the weights either. At a scale of 1 nothing is left to lower.

    Args:
        model: `Detector`, whose optimizer and variables are used.

    Attributes:
        refused: int64 variable, the number of steps that were not applied.
        refused_at: int64 variable, the number of batches that training had consumed before the last of them.
        hidden: bool variable, whether the logs leave these steps out; otherwise the logs become NaN.
    """

    def __init__(self, model):
        self.model = model
        self.refused = _variable(0, tf.int64)
        self.refused_at = _variable(-1, tf.int64)
        self.hidden = _variable(False, tf.bool)

    def moving_statistics(self):
        """Copy the statistics that a forward pass moves, before it: a list of pairs of variable and value."""
        return [(variable, tf.identity(variable)) for variable in _moving(self.model)]

    def apply(self, loss, gradients, statistics):
        """Update the weights, or put the moving statistics back.

        Args:
            loss: float32 scalar, that of all replicas.
            gradients: list of tensors, summed over the replicas, one for each trainable variable; None where
                there is none.
            statistics: answer of `moving_statistics`.

        Returns:
            bool scalar, whether the step was refused.
        """
        moved = [variable for variable, _ in statistics]
        refused = self._is_refused(loss, gradients, moved)
        self.refused.assign_add(tf.cast(refused, tf.int64))
        self.refused_at.assign(tf.where(refused, self.model.consumed.batches, self.refused_at))

        def update(gradients):
            self.model.optimizer.apply(gradients, self.model.trainable_variables)

        def put_back(values):
            for variable, value in zip(moved, values):
                variable.assign(value)

        def together(strategy, refused, gradients, values):
            first = strategy.experimental_local_results(refused)[0]
            each = strategy.extended.call_for_each_replica
            tf.cond(first, lambda: each(put_back, (values,)), lambda: each(update, (gradients,)))

        values = [value for _, value in statistics]
        if tf.distribute.has_strategy():
            # An update lets the replicas meet, which a branch of a single replica cannot do.
            tf.distribute.get_replica_context().merge_call(together, (refused, gradients, values))
        else:
            tf.cond(refused, lambda: put_back(values), lambda: update(gradients))
        return refused

    def log(self, refused, value, weight):
        """Leave a figure of a refused step out of the logs, if these are to be `hidden`: value and weight."""
        hide = refused & self.hidden
        return tf.where(hide, 0.0, value), tf.where(hide, 0.0, weight)

    def _is_refused(self, loss, gradients, moved):
        """Whether to refuse the step."""
        optimizer = self.model.optimizer
        rate = tf.convert_to_tensor(optimizer.learning_rate)
        finite = [tf.math.is_finite(value) for value in (loss, rate, tf.linalg.global_norm(moved or [rate]))]
        overflow = _in_any_replica(~tf.math.is_finite(tf.linalg.global_norm(gradients)))
        refused = _in_any_replica(~tf.reduce_all(finite))
        if not isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
            return refused | overflow
        scale = optimizer.dynamic_scale if optimizer.built else optimizer.initial_scale
        return refused | (overflow & (tf.convert_to_tensor(scale) <= 1.0))


def _variable(value, dtype):
    variable: Any = tf.Variable
    return variable(
        value, trainable=False, dtype=dtype, aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA
    )


def _in_any_replica(condition):
    """Whether a bool scalar holds in one of the replicas: what one refuses none may apply."""
    if not tf.distribute.has_strategy():
        return condition
    replica = tf.distribute.get_replica_context()
    return replica.all_reduce(tf.distribute.ReduceOp.SUM, tf.cast(condition, tf.float32)) > 0.0


def _moving(layer):
    """List the float variables that a forward pass may move, in a layer and all layers inside it."""
    inside = list(_compat.layers_inside(layer))
    theirs = {id(variable) for child in inside for variable in child.variables}
    own = [
        variable
        for variable in (layer.non_trainable_variables if layer.trainable else ())
        if id(variable) not in theirs and keras.backend.is_float_dtype(variable.dtype)
    ]
    return own + [variable for child in inside for variable in _moving(child)]
