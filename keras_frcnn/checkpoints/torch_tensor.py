"""Tensors in PyTorch's layout and the Keras variables that hold the same numbers.

Letters: I, O channels in and out, H, W sides of a kernel, P bins per side.
"""

import dataclasses

import keras
import numpy as np

from keras_frcnn.checkpoints.finite import check_finite


@dataclasses.dataclass(frozen=True)
class TorchTensor:
    """A PyTorch tensor and the Keras variable that holds it, in another order of axes.

    Args:
        name: name of the tensor.
        variable: `keras.Variable`; None for a tensor that no computation reads, such as a counter.
        shape: shape of the tensor in PyTorch.
        view: shape that the tensor gets before its axes are transposed; by default `shape`.
        axes: axes of that view, in the order of the variable.
    """

    name: str
    variable: keras.Variable | None
    shape: tuple
    view: tuple | None = None
    axes: tuple = ()

    @property
    def optional(self):
        """Whether a file may leave the tensor out."""
        return self.variable is None

    def from_torch(self, array):
        """Convert an array in PyTorch's layout to float32 in the shape of the variable."""
        turned = np.asarray(array, np.float32).reshape(self.view or self.shape).transpose(self.axes)
        return turned.reshape(self.variable.shape)

    def to_torch(self):
        """Convert the variable to an array in PyTorch's layout; 0 for a counter."""
        if self.variable is None:
            return np.zeros(self.shape, np.int64)
        view = self.view or self.shape
        turned = self.variable.numpy().reshape([view[axis] for axis in self.axes])
        return np.ascontiguousarray(turned.transpose(np.argsort(self.axes)).reshape(self.shape))


def layer_tensors(layer, path):
    """List the tensors of one layer.

    Args:
        layer: a Keras layer.
        path: path of the module in PyTorch, such as "layer1.0.conv1".

    Returns:
        list of `TorchTensor`; empty for a layer without weights or without a module in PyTorch.
    """
    if isinstance(layer, keras.layers.BatchNormalization):
        names = {"weight": "gamma", "bias": "beta", "running_mean": "moving_mean"}
        names["running_var"] = "moving_variance"
        vectors = [(f"{path}.{theirs}", getattr(layer, ours)) for theirs, ours in names.items()]
        counter = TorchTensor(f"{path}.num_batches_tracked", None, ())
        return [*(_vector(name, variable) for name, variable in vectors), counter]
    if isinstance(layer, keras.layers.DepthwiseConv2D):
        kernel, axes = layer.kernel, (2, 3, 0, 1)  # [O, 1, H, W] → [H, W, O, 1]
    elif isinstance(layer, keras.layers.Conv2D):
        kernel, axes = layer.kernel, (2, 3, 1, 0)  # [O, I, H, W] → [H, W, I, O]
    elif isinstance(layer, keras.layers.Dense):
        kernel, axes = layer.kernel, (1, 0)  # [O, I] → [I, O]
    else:
        return []
    shape = tuple(kernel.shape[axis] for axis in np.argsort(axes))
    weight = TorchTensor(f"{path}.weight", kernel, shape, axes=axes)
    return [weight, _vector(f"{path}.bias", layer.bias)] if layer.use_bias else [weight]


def flattened_dense(layer, path, bins):
    """List the tensors of a dense layer on flattened maps: PyTorch flattens channels first, Keras last.

    Args:
        layer: `keras.layers.Dense` on `[P · P · I]`.
        path: path of the module in PyTorch.
        bins: P.

    Returns:
        list of `TorchTensor`.
    """
    inputs, outputs = layer.kernel.shape
    view = (outputs, inputs // bins**2, bins, bins)
    weight = TorchTensor(f"{path}.weight", layer.kernel, (outputs, inputs), view, (2, 3, 1, 0))
    return [weight, _vector(f"{path}.bias", layer.bias)]


def _vector(name, variable):
    return TorchTensor(name, variable, tuple(variable.shape), axes=(0,))


def assign(tensors, state, origin, ignored=()):
    """Assign the values of a file to the variables; if it does not fit, no variable changes.

    Args:
        tensors: list of `TorchTensor`.
        state: dict from name to array.
        origin: name of the file in messages.
        ignored: prefixes of other names that the file may contain.

    Raises:
        ValueError: a tensor is missing, unexpected, of another shape or not finite.
    """
    known = {tensor.name: tensor for tensor in tensors}
    missing = [tensor.name for tensor in tensors if not tensor.optional and tensor.name not in state]
    extra = [name for name in state if name not in known and not name.startswith(tuple(ignored))]
    if missing:
        raise ValueError(f"Tensor {_and_others(missing)} is missing in {origin}; is it of this network?")
    if extra:
        raise ValueError(f"Tensor {_and_others(extra)} of {origin} has no place here; is it of this network?")
    for name, tensor in known.items():
        shape = tuple(np.shape(state[name])) if name in state else tensor.shape
        if shape != tensor.shape:
            raise ValueError(
                f"Tensor {name} of {origin} has shape {list(shape)} where {list(tensor.shape)} belongs; "
                "is it of this network?"
            )
    values = [
        (tensor.variable, tensor.from_torch(state[tensor.name])) for tensor in tensors if not tensor.optional
    ]
    check_finite(state.items(), origin)
    for variable, value in values:
        variable.assign(value)


def _and_others(names):
    others = len(names) - 1
    return names[0] + (f" (and {others} other{'s' * (others > 1)})" if others else "")
