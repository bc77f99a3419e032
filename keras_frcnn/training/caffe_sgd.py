"""Stochastic gradient descent as in Caffe, for recipes that were measured with it."""

import keras

from keras_frcnn._compat import index_of


@keras.saving.register_keras_serializable("keras_frcnn")
class CaffeSGD(keras.optimizers.SGD):
    """SGD with momentum, L2 in the gradient, and separate rules for biases (Caffe's `SGDSolver`).

    One update of a variable w with gradient g at rate r is, as in Caffe: v ← momentum · v − r · (g + l2 · w),
    w ← w + v. The rate is inside the velocity, so a drop acts slowly. Weight decay is inside it too,
    unlike Keras's own decoupled decay. With `gradient_accumulation_steps` (Caffe's `iter_size`), g is the
    mean gradient of that many batches, and decay is added once.

    Args:
        learning_rate: float or schedule. Keras counts the steps of a schedule in batches, not in updates,
            even when gradients accumulate.
        momentum: 0 to 1; 0.9 in every recipe of the papers.
        l2: weight decay, Caffe's `weight_decay`; 0.0005 in every recipe of the papers.
        bias_rate: rate of biases divided by that of other variables, Caffe's `lr_mult`; 2 in the papers.
        l2_on_bias: whether biases decay too, Caffe's `decay_mult`; yes in py-faster-rcnn, no in fast-rcnn.
        **kwargs: options of any Keras optimizer, such as `gradient_accumulation_steps` or `global_clipnorm`.

    Example:
        >>> model.compile(CaffeSGD(0.001, gradient_accumulation_steps=2))
    """

    def __init__(self, learning_rate, momentum=0.9, l2=0.0005, bias_rate=2.0, l2_on_bias=True, **kwargs):
        super().__init__(learning_rate, momentum=momentum, **kwargs)
        self.l2 = float(l2)
        self.bias_rate = float(bias_rate)
        self.l2_on_bias = bool(l2_on_bias)

    def build(self, variables):
        super().build(variables)
        # Check names here, because `update_step` gets backend variables, whose names are longer.
        self._is_bias = [variable.name == "bias" for variable in variables]

    def update_step(self, gradient, variable, learning_rate):
        is_bias = self._is_bias[index_of(self, variable)]
        if self.l2_on_bias or not is_bias:
            gradient = gradient + self.l2 * variable
        if is_bias:
            learning_rate = learning_rate * self.bias_rate
        super().update_step(gradient, variable, learning_rate)

    def get_config(self):
        return {
            **super().get_config(),
            "l2": self.l2,
            "bias_rate": self.bias_rate,
            "l2_on_bias": self.l2_on_bias,
        }
