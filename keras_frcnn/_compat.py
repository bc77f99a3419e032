"""The private names of TensorFlow and Keras that the package needs, each with the reason.

`tests/test_compat.py` says what to do when one of them moves.
"""

import inspect
import itertools

import keras
import tensorflow as tf
from keras.src.models.functional import Functional
from tensorflow.python.ops import control_flow_util
from tensorflow.tsl.profiler.protobuf import xplane_pb2

__all__ = ["Functional", "XSpace", "callbacks_before", "for_xla", "layers_inside", "nodes"]

# Keras has no public name for the class of a functional model, which alone can be cloned layer by layer.
Functional = Functional

# The message of a profile's file. TensorFlow writes such files and has no public reader of them.
XSpace = xplane_pb2.XSpace  # pyright: ignore[reportAttributeAccessIssue]


def for_xla():
    """Whether the graph that is traced now, or one around it, will be compiled by XLA.

    Public functions tell neither: a layer is traced inside the function that has `jit_compile=True`.
    """
    return control_flow_util.GraphOrParentsInXlaContext(tf.compat.v1.get_default_graph())


def layers_inside(layer):
    """The layers that a layer tracks, without those inside them.

    Keras has a public list for models alone.
    """
    return layer._flatten_layers(include_self=False, recursive=False)


def nodes(network):
    """The calls of layers that a functional model is made of.

    Keras's public face shows tensors, not calls.
    """
    return list(itertools.chain(*network._nodes_by_depth.values()))


def callbacks_before(callback):
    """The callbacks that stand before one in the list that `fit` was given.

    Keras tells a callback nothing of its neighbors, but their list calls its `on_train_begin`, which may ask
    here.
    """
    frame = inspect.currentframe()
    while frame is not None:
        caller = frame.f_locals.get("self")
        if isinstance(caller, keras.callbacks.CallbackList) and callback in caller.callbacks:
            return caller.callbacks[: caller.callbacks.index(callback)]
        frame = frame.f_back
    return []
