"""The arithmetic of a network: the multiply-adds of its convolutions and dense layers."""

import contextlib
import dataclasses
import functools
import math
from unittest import mock

import keras

COUNTED = (keras.layers.Conv2D, keras.layers.DepthwiseConv2D, keras.layers.Dense)


@dataclasses.dataclass
class Arithmetic:
    """Floating-point operations, two for each multiply-add.

    Attributes:
        forward: operations of the forward pass.
        step: operations of a training step: the forward pass, the gradient of every trainable kernel, and
            that of every input after the first trainable layer.
        training: whether a trainable layer has been counted.
    """

    forward: int = 0
    step: int = 0
    training: bool = False

    def add(self, layer, output):
        """Count one call of a layer whose output is `output`."""
        # Each position or row of the output uses each number of the kernel once.
        work = 2 * math.prod(output.shape[:-1]) * math.prod(layer.kernel.shape)
        self.forward += work
        # The input of the first trainable layer, and everything before it, has no gradient.
        self.step += work * (1 + layer.trainable + self.training)
        self.training |= layer.trainable


@contextlib.contextmanager
def counted():
    """Count the arithmetic of the layers that run inside, eagerly, so that all sizes are the actual ones.

    Example:
        >>> with counted() as arithmetic:
        ...     model.infer(batch)
        >>> arithmetic.forward / 1e9
    """
    arithmetic = Arithmetic()

    def watched(plain):
        @functools.wraps(plain)
        def call(layer, *args, **kwargs):
            output = plain(layer, *args, **kwargs)
            arithmetic.add(layer, output)
            return output

        return call

    with contextlib.ExitStack() as stack:
        for kind in COUNTED:
            # Patch the class that defines the method; others inherit it.
            owner = next(base for base in kind.__mro__ if "call" in vars(base))
            stack.enter_context(mock.patch.object(owner, "call", watched(owner.call)))
        yield arithmetic
