"""A predictor that learns normalized targets."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf


@keras.saving.register_keras_serializable("keras_frcnn")
class NormalizedDense(keras.layers.Dense):
    """A dense layer whose weights live where targets have mean 0 and deviation 1, and whose answer does not.

    Fast R-CNN learns deltas so (section 2.3). Files hold the weights of the plain layer with the same answer,
    and beside them the statistics, with which a loaded layer trains on as the saved one would. A new layer
    has mean 0 and the usual deviation, until it is told others.

    Args:
        units, kernel_initializer, …: see `keras.layers.Dense`.

    Call arguments, returns: see `keras.layers.Dense`; float32 whatever the policy.
    """

    # What py-faster-rcnn takes for all classes.
    USUAL_DEVIATION = (0.1, 0.1, 0.2, 0.2)

    kernel: Any
    bias: Any

    def build(self, input_shape):
        super().build(input_shape)
        constants = {"shape": (self.units,), "dtype": "float32", "trainable": False, "autocast": False}
        self.mean = self.add_weight(name="mean", initializer="zeros", **constants)
        self.deviation = self.add_weight(name="deviation", initializer="ones", **constants)
        self.deviation.assign(np.tile(self.USUAL_DEVIATION, self.units // 4).astype(np.float32))

    def call(self, inputs):
        return tf.cast(super().call(inputs), tf.float32) * self.deviation + self.mean

    def normalize(self, mean, deviation):
        """Take other statistics; the layer goes on to answer the same.

        Args:
            mean, deviation: float32 `[units]`.
        """
        self._take(*self.folded(), mean, deviation)

    def folded(self):
        """Kernel and bias, NumPy arrays, of the plain layer with the same answer."""
        mean, deviation = self.mean.numpy(), self.deviation.numpy()
        return self.kernel.numpy() * deviation, self.bias.numpy() * deviation + mean

    def _take(self, kernel, bias, mean, deviation):
        self.kernel.assign(kernel / deviation)
        self.bias.assign((bias - mean) / deviation)
        self.mean.assign(mean)
        self.deviation.assign(deviation)

    def save_own_variables(self, store):
        store["0"], store["1"] = self.folded()
        store["2"], store["3"] = self.mean.numpy(), self.deviation.numpy()
        # Dividing the folded ones gives these but for their last digit, and training is to go on exactly.
        store["kernel"], store["bias"] = self.kernel.numpy(), self.bias.numpy()

    def load_own_variables(self, store):
        self._take(*(store[name][...] for name in "0123"))
        if "kernel" in store.keys():  # files of version 0.1.0 have the folded ones alone
            self.kernel.assign(store["kernel"][...])
            self.bias.assign(store["bias"][...])


# Files of version 0.1.0 name the class so.
keras.saving.get_custom_objects()["keras_frcnn>NormalisedDense"] = NormalizedDense
