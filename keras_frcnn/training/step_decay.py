"""A learning rate that drops at given steps."""

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable("keras_frcnn")
class StepDecay(keras.optimizers.schedules.LearningRateSchedule):
    """A constant rate that drops by a factor at given steps, after a linear warm-up from a fraction of it.

    Args:
        learning_rate: float, the rate before the first drop.
        drops: steps, counted from 0, at which the rate drops, as with Caffe's `multistep`.
        factor: factor of each drop; 0.1 in every recipe of the papers.
        warmup_steps: step at which the full rate is reached.
        warmup_factor: fraction of the rate that the warm-up begins with.

    Call arguments:
        step: int scalar, number of steps done.

    Returns:
        float32 scalar.

    Example:
        >>> float(StepDecay(0.5, drops=[100])(100))
        0.05000000074505806
    """

    def __init__(self, learning_rate, drops, factor=0.1, warmup_steps=0, warmup_factor=0.01):
        self.learning_rate = float(learning_rate)
        self.drops = [int(step) for step in drops]
        self.factor = float(factor)
        self.warmup_steps = int(warmup_steps)
        self.warmup_factor = float(warmup_factor)

    def __call__(self, step):
        passed = tf.reduce_sum(
            tf.cast(tf.cast(step, tf.int64) >= tf.constant(self.drops, tf.int64), tf.float32)
        )
        rate = self.learning_rate * self.factor**passed
        if not self.warmup_steps:
            return rate
        warm = tf.minimum(tf.cast(step, tf.float32) / self.warmup_steps, 1.0)
        return rate * (self.warmup_factor + (1.0 - self.warmup_factor) * warm)

    def get_config(self):
        return {
            "learning_rate": self.learning_rate,
            "drops": self.drops,
            "factor": self.factor,
            "warmup_steps": self.warmup_steps,
            "warmup_factor": self.warmup_factor,
        }
