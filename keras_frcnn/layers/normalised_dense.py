"""A predictor that learns normalised targets."""

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable("keras_frcnn")
class NormalisedDense(keras.layers.Dense):
    """A dense layer whose weights live where targets have mean 0 and deviation 1, and whose answer does not.

    Fast R-CNN learns deltas so (section 2.3). Files hold the weights of the plain layer with the same answer,
    so a loaded layer has mean 0 and deviation 1, until it is told others again.

    Args:
        units, kernel_initializer, …: see `keras.layers.Dense`.

    Call arguments, returns: see `keras.layers.Dense`; float32 whatever the policy.
    """

    # What py-faster-rcnn takes for all classes.
    USUAL_DEVIATION = (0.1, 0.1, 0.2, 0.2)

    def build(self, input_shape):
        super().build(input_shape)
        constants = {"shape": (self.units,), "dtype": "float32", "trainable": False, "autocast": False}
        self.mean = self.add_weight(name="mean", initializer="zeros", **constants)
        self.deviation = self.add_weight(name="deviation", initializer="ones", **constants)
        self.deviation.assign(tf.tile(self.USUAL_DEVIATION, [self.units // 4]))
        self.loaded = False

    def call(self, inputs):
        return tf.cast(super().call(inputs), tf.float32) * self.deviation + self.mean

    def normalise(self, mean, deviation):
        """Take other statistics; a layer that was loaded goes on to answer the same.

        Args:
            mean, deviation: float32 `[units]`.
        """
        if self.loaded:
            kernel, bias = self.folded()
            self.kernel.assign(kernel / deviation)
            self.bias.assign((bias - mean) / deviation)
        self.mean.assign(mean)
        self.deviation.assign(deviation)

    def folded(self):
        """Kernel and bias, NumPy arrays, of the plain layer with the same answer."""
        mean, deviation = self.mean.numpy(), self.deviation.numpy()
        return self.kernel.numpy() * deviation, self.bias.numpy() * deviation + mean

    def save_own_variables(self, store):
        store["0"], store["1"] = self.folded()

    def load_own_variables(self, store):
        self.kernel.assign(store["0"])
        self.bias.assign(store["1"])
        self.mean.assign(tf.zeros_like(self.mean))
        self.deviation.assign(tf.ones_like(self.deviation))
        self.loaded = True
