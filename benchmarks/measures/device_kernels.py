"""Ask TensorFlow's registry of kernels, without a GPU."""

import tensorflow as tf
from tensorflow.python.framework import kernels


def operations(concrete):
    """Operations of a traced function and of all functions within, without the texts of shape checks."""
    graph = concrete.graph.as_graph_def()
    for function in (graph, *graph.library.function):
        nodes = function.node if function is graph else function.node_def
        yield from (node for node in nodes if not _is_text(node))


def _is_text(node):
    return node.op == "Const" and node.attr["dtype"].type == tf.string.as_datatype_enum


def runs_on_gpu(node) -> bool:
    """Whether a kernel is registered for a GPU, or for any device, that takes the node's types."""
    return any(
        kernel.device_type in ("GPU", "DEFAULT")
        and all(
            node.attr[constraint.name].type in constraint.allowed_values.list.type
            for constraint in kernel.constraint
        )
        for kernel in kernels.get_registered_kernels_for_op(node.op).kernel
    )
