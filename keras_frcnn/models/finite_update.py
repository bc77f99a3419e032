"""Updates that change nothing where numbers are not finite."""

from typing import Any

import keras
import tensorflow as tf

from keras_frcnn import _compat


class FiniteUpdate:
    """Apply gradients only if the loss, the gradients and the learning rate are finite.

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
        variables = [
            variable
            for layer in _innermost(self.model)
            if layer.trainable
            for variable in layer.non_trainable_variables
            if keras.backend.is_float_dtype(variable.dtype)
        ]
        return [(variable, tf.identity(variable)) for variable in variables]

    def apply(self, loss, gradients, statistics):
        """Update the weights, or put the moving statistics back.

        Args:
            loss: float32 scalar.
            gradients: list of tensors, one for each trainable variable; None where there is none.
            statistics: answer of `moving_statistics`.

        Returns:
            bool scalar, whether the step was refused.
        """
        refused = self._is_refused(loss, gradients)
        self.refused.assign_add(tf.cast(refused, tf.int64))
        self.refused_at.assign(tf.where(refused, self.model.consumed.batches, self.refused_at))

        def update():
            self.model.optimizer.apply(gradients, self.model.trainable_variables)

        def put_back():
            for variable, value in statistics:
                variable.assign(value)

        def together(strategy, refused):
            first = strategy.experimental_local_results(refused)[0]
            each = strategy.extended.call_for_each_replica
            tf.cond(first, lambda: each(put_back), lambda: each(update))

        if tf.distribute.has_strategy():
            # An update lets the replicas meet, which a branch of a single replica cannot do.
            tf.distribute.get_replica_context().merge_call(together, args=(refused,))
        else:
            tf.cond(refused, put_back, update)
        return refused

    def log(self, refused, value, weight):
        """Leave a figure of a refused step out of the logs, if these are to be `hidden`: value and weight."""
        hide = refused & self.hidden
        return tf.where(hide, 0.0, value), tf.where(hide, 0.0, weight)

    def _is_refused(self, loss, gradients):
        optimizer = self.model.optimizer
        finite = tf.math.is_finite(tf.linalg.global_norm(gradients))
        if isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
            finite |= tf.convert_to_tensor(optimizer.dynamic_scale) > 1.0
        rate = tf.convert_to_tensor(optimizer.learning_rate)
        refused = ~(finite & tf.math.is_finite(loss) & tf.math.is_finite(rate))
        if tf.distribute.has_strategy():
            # Gradients are summed over the replicas, so what one refuses none may apply.
            replica = tf.distribute.get_replica_context()
            refused = replica.all_reduce(tf.distribute.ReduceOp.SUM, tf.cast(refused, tf.float32)) > 0.0
        return refused


def _variable(value, dtype):
    variable: Any = tf.Variable
    return variable(
        value, trainable=False, dtype=dtype, aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA
    )


def _innermost(layer):
    """List the layers inside a layer that have none inside themselves."""
    inside = list(_compat.layers_inside(layer))
    return [one for child in inside for one in _innermost(child)] if inside else [layer]
