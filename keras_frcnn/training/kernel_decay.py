"""Keras's AdamW and SGD whose weight decay leaves out biases and normalization, also after a reload.

Keras saves the rate of the decay with a model, but not the variables that `exclude_from_weight_decay` names.
"""

import keras


class KernelDecay(keras.optimizers.Optimizer):
    """First base of an optimizer of Keras that decays kernels alone."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])


@keras.saving.register_keras_serializable("keras_frcnn")
class KernelAdamW(KernelDecay, keras.optimizers.AdamW):
    """`keras.optimizers.AdamW` that decays kernels alone."""


@keras.saving.register_keras_serializable("keras_frcnn")
class KernelSGD(KernelDecay, keras.optimizers.SGD):
    """`keras.optimizers.SGD` that decays kernels alone."""
