"""Write an ONNX graph node by node."""

import functools
from typing import Any

import numpy as np

from keras_frcnn.extras import needed

# Opset 17 has RoiAlign with half-pixel coordinates, and every runtime of the last years reads it.
OPSET, IR_VERSION = 17, 8


class OnnxGraph:
    """A graph under construction; each operator of ONNX is a method, as in `graph.Conv(x, kernel)`.

    Such a method takes names of tensors, or values, which become constants: Python integers int64, Python
    floats float32, arrays their own dtype, None an input that is left out. Keywords are attributes. It
    returns the name of the output, which `name` sets, or a list of names with `outputs=2`.

    Args:
        half: whether `weights` stores float16.

    Example:
        >>> graph = OnnxGraph(half=precision == "float16")
        >>> graph.Add("x", 1.0)
        'Add_0'
    """

    def __init__(self, half: bool = False):
        self.onnx: Any = needed("onnx", "onnx")
        self.half = half
        self.nodes = []
        self.constants = {}
        self.initializers = []

    def __getattr__(self, operator):
        if not operator[0].isupper():
            raise AttributeError(operator)
        return functools.partial(self._node, operator)

    def _node(self, operator, *inputs, outputs=1, name=None, **attributes) -> Any:
        name = name or f"{operator}_{len(self.nodes)}"
        names = [name] if outputs == 1 else [f"{name}_{index}" for index in range(outputs)]
        inputs = [self._name(value) for value in inputs]
        self.nodes.append(self.onnx.helper.make_node(operator, inputs, names, name, **attributes))
        return name if outputs == 1 else names

    def _name(self, value):
        if value is None:
            return ""
        return value if isinstance(value, str) else self.constant(value)

    def constant(self, value) -> str:
        """Return the name of a constant; equal small ones are one."""
        array = np.asarray(value)
        if not isinstance(value, (np.ndarray, np.generic)):
            array = array.astype({"i": "int64", "f": "float32", "b": "bool"}[array.dtype.kind])
        key = (array.dtype.str, array.shape, array.tobytes()) if array.size < 64 else len(self.constants)
        if key not in self.constants:
            self.constants[key] = f"constant_{len(self.constants)}"
            # A scalar stays one: ascontiguousarray would make it a vector.
            array = np.ascontiguousarray(array) if array.ndim else array
            self.initializers.append(self.onnx.numpy_helper.from_array(array, self.constants[key]))
        return self.constants[key]

    def weights(self, array) -> str:
        """Return the name of float32 weights, which a half-precision graph stores as float16."""
        array = np.asarray(array, np.float32)
        if not self.half:
            return self.constant(array)
        limit = np.finfo(np.float16).max
        return self.to(self.constant(np.clip(array, -limit, limit).astype(np.float16)), "FLOAT")

    def to(self, x, dtype: str) -> str:
        """Cast to a type as ONNX names it, such as "FLOAT" or "INT64"."""
        return self.Cast(x, to=getattr(self.onnx.TensorProto, dtype))

    def part(self, x, start: int, end: int, axis: int) -> str:
        """Cut out a slice of one axis."""
        return self.Slice(x, [start], [end], [axis])

    def size(self, x, axis: int) -> str:
        """Return the length of an axis, int64 `[1]`."""
        return self.part(self.Shape(x), axis, axis + 1, 0)

    def join(self, *parts, axis: int = 0) -> str:
        """Concatenate; integers among the parts become vectors of one element."""
        return self.Concat(*([part] if isinstance(part, int) else part for part in parts), axis=axis)

    def reshape(self, x, *shape) -> str:
        """Reshape to sides that are integers or int64 `[1]` tensors."""
        return self.Reshape(x, self.join(*shape))

    def model(self, inputs: dict, outputs: dict, metadata: dict):
        """Finish and check the graph.

        Args:
            inputs, outputs: dicts from names to pairs of type and shape, such as ("FLOAT", ["batch", 3]).
            metadata: dict of str.

        Returns:
            `onnx.ModelProto`.
        """
        helper = self.onnx.helper

        def infos(tensors):
            return [
                helper.make_tensor_value_info(name, getattr(self.onnx.TensorProto, dtype), shape)
                for name, (dtype, shape) in tensors.items()
            ]

        graph = helper.make_graph(
            self.nodes, "detector", infos(inputs), infos(outputs), initializer=self.initializers
        )
        model = helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid("", OPSET)],
            ir_version=IR_VERSION,
            producer_name="keras_frcnn",
        )
        helper.set_model_props(model, metadata)
        self.onnx.checker.check_model(model, full_check=True)
        return model
