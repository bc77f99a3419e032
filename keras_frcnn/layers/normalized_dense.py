"""A predictor that learns normalized targets."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf


@keras.saving.register_keras_serializable("keras_frcnn")
class NormalizedDense(keras.layers.Dense):
    """A dense layer that learns targets of mean 0 and deviation 1, and returns them in their own units.

    Fast R-CNN learns deltas this way (section 2.3). Files hold the weights of the plain layer with the same
    output, and the statistics, so that a loaded layer continues training as the saved one would. A new layer
    has mean 0 and `USUAL_DEVIATION` until `normalize` sets others.

    Args:
        units, kernel_initializer, …: see `keras.layers.Dense`.

    Call arguments, returns: see `keras.layers.Dense`; float32 under any policy.
    """

    # The values that py-faster-rcnn uses for all classes.
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

    def compute_output_spec(self, inputs):
        # Keras would infer the compute dtype.
        return keras.KerasTensor(self.compute_output_shape(inputs.shape), "float32")

    def normalize(self, mean, deviation):
        """Set new statistics without changing the layer's output.

        Args:
            mean, deviation: float32 `[units]`.
        """
        self._take(*self.folded(), mean, deviation)

    def folded(self):
        """Kernel and bias, NumPy arrays, of the plain layer with the same output."""
        mean, deviation = self.mean.numpy(), self.deviation.numpy()
        return self.kernel.numpy() * deviation, self.bias.numpy() * deviation + mean

    def unfold(self, kernel, bias):
        """Take the kernel and bias of a plain layer with the same output; the statistics stay."""
        self._take(kernel, bias, self.mean.numpy(), self.deviation.numpy())

    def _take(self, kernel, bias, mean, deviation):
        self.kernel.assign(kernel / deviation)
        self.bias.assign((bias - mean) / deviation)
        self.mean.assign(mean)
        self.deviation.assign(deviation)

    def save_own_variables(self, store):
        store["0"], store["1"] = self.folded()
        store["2"], store["3"] = self.mean.numpy(), self.deviation.numpy()
        # Unfolding would lose the last digit; the exact weights let training continue exactly.
        store["kernel"], store["bias"] = self.kernel.numpy(), self.bias.numpy()

    def load_own_variables(self, store):
        self._take(*(store[name][...] for name in "0123"))
        if "kernel" in store.keys():  # files of version 0.1.0 have only the folded ones
            self.kernel.assign(store["kernel"][...])
            self.bias.assign(store["bias"][...])


# Files of version 0.1.0 use this class name.
keras.saving.get_custom_objects()["keras_frcnn>NormalisedDense"] = NormalizedDense
