"""Private names of TensorFlow and Keras that the package needs, each with the reason.

`tests/test_compat.py` says what to do when one of them moves.
"""

import inspect
import itertools

import keras
import tensorflow as tf

# Only functional models can be cloned layer by layer, and Keras has no public name for their class.
from keras.src.models.functional import Functional
from keras.src.random.seed_generator import global_seed_generator
from tensorflow.python.framework import config
from tensorflow.python.ops import control_flow_util
from tensorflow.tsl.profiler.protobuf import xplane_pb2

__all__ = [
    "Functional",
    "XSpace",
    "attribute_upstream",
    "begin_at",
    "deterministic",
    "expect_summed_gradients",
    "for_xla",
    "global_seeds",
    "index_of",
    "layers_inside",
    "neighbors",
    "nodes",
    "with_cardinality",
]

# Protobuf message of a profile. TensorFlow writes these files, but has no public reader for them.
XSpace = xplane_pb2.XSpace  # pyright: ignore[reportAttributeAccessIssue]


def for_xla():
    """Return whether XLA will compile the graph that is being traced, or a graph around it.

    No public function tells this: a layer is traced inside the function that has `jit_compile=True`.
    """
    return control_flow_util.GraphOrParentsInXlaContext(tf.compat.v1.get_default_graph())


def deterministic():
    """Return whether operations have to give the same bits in every run.

    `enable_op_determinism` is public, the question is not.
    """
    return config.is_op_determinism_enabled()


def layers_inside(layer):
    """List the layers that a layer tracks, without the layers inside them.

    Keras has a public list only for models.
    """
    return layer._flatten_layers(include_self=False, recursive=False)


def nodes(network):
    """List the layer calls that make up a functional model, each after those that it depends on.

    Keras's public API shows tensors, not calls.
    """
    return list(
        itertools.chain(*(calls for _, calls in sorted(network._nodes_by_depth.items(), reverse=True)))
    )


def index_of(optimizer, variable):
    """Return the place of a variable in the list that an optimizer was built with.

    `update_step`, which Keras documents for custom optimizers, gets a variable without its place.
    """
    return optimizer._get_variable_index(variable)


def expect_summed_gradients(optimizer):
    """Make an optimizer take gradients that are already summed over the replicas of a strategy.

    Keras clips first and sums then, so that the norm of a replica's part would be clipped.
    """
    optimizer = getattr(optimizer, "inner_optimizer", optimizer)
    optimizer._all_reduce_sum_gradients = list


def with_cardinality(data, cardinality):
    """Let a distributed data set of a function know its number of batches.

    TensorFlow counts the parts of all replicas of a worker, and Keras takes no other class than TensorFlow's.
    """
    count = int(cardinality)
    data.__class__ = type("Shared", (type(data),), {"cardinality": property(lambda self: count)})
    return data


def neighbors(callback):
    """Return all callbacks in the list given to `fit`, this one included.

    A callback cannot see its neighbors through Keras, but their list calls its `on_train_begin`, which may
    call this function.
    """
    frame = inspect.currentframe()
    while frame is not None:
        caller = frame.f_locals.get("self")
        if isinstance(caller, keras.callbacks.CallbackList) and callback in caller.callbacks:
            return list(caller.callbacks)
        frame = frame.f_back
    return []


def begin_at(model, epoch):
    """Let the running `fit` begin at an epoch; None gives the choice back to its caller.

    Keras's own `BackupAndRestore` does it like this: a callback has no public way.
    """
    model._initial_epoch = epoch


def global_seeds():
    """Return the `SeedGenerator` behind random operations of Keras without a seed."""
    return global_seed_generator()


# Data sets with exactly the elements of their input, and those that make one of each.
SAME_ELEMENTS = ("_RepeatDataset", "_PrefetchDataset", "_OptionsDataset")
ONE_FOR_ONE = (*SAME_ELEMENTS, "_MapDataset", "_ParallelMapDataset")


def attribute_upstream(data, name, kinds=ONE_FOR_ONE):
    """Find an attribute of a data set, or of one that it passes on element by element; None without it.

    A transformation returns a new object that has no attributes of the old one.
    """
    while data is not None and not hasattr(data, name):
        inputs = data._inputs() if type(data).__name__ in kinds else []
        data = inputs[0] if len(inputs) == 1 else None
    return data and getattr(data, name)
