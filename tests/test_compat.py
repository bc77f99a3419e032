"""The private names that the package leans on are where it looks for them, and do what it takes them for."""

import inspect
import re
from pathlib import Path

import keras
import pytest
import tensorflow as tf
from tensorflow.python.framework import config

from keras_frcnn import _compat
from keras_frcnn.models import Detector

PACKAGE = Path(_compat.__file__).parent
MOVED = "; find its new place, or a public name, and change keras_frcnn/_compat.py alone"


def test_no_private_name_stands_elsewhere():
    names = (
        "tensorflow.python",
        "tensorflow.tsl",
        "keras.src",
        "sys._get",
        "._flatten_layers",
        "._nodes_by",
        "._get_variable",
    )
    private = re.compile("|".join(map(re.escape, names)))
    found = [path for path in PACKAGE.rglob("*.py") if private.search(path.read_text("utf-8"))]
    assert found == [PACKAGE / "_compat.py"]


def test_for_xla():
    seen = []

    def traced(x):
        seen.append(_compat.for_xla())
        return tf.cond(x > 0.0, lambda: inner(x), lambda: x)

    def inner(x):
        seen.append(_compat.for_xla())
        return x + 1.0

    for compiled in (True, False):
        tf.function(traced, jit_compile=compiled)(tf.constant(1.0))
    assert seen[:2] == [True, True] and seen[-2:] == [False, False], "XLA's context is not seen" + MOVED


def test_deterministic():
    assert not _compat.deterministic(), MOVED
    tf.config.experimental.enable_op_determinism()
    try:
        assert _compat.deterministic(), MOVED
    finally:
        config.disable_op_determinism()


def test_functional_and_its_calls():
    images = keras.Input((4,))
    model = keras.Model(images, keras.layers.ReLU(name="relu")(keras.layers.Dense(2, name="dense")(images)))
    assert isinstance(model, _compat.Functional) and not isinstance(
        keras.Sequential([]), _compat.Functional
    ), MOVED
    assert {"dense", "relu"} <= {node.operation.name for node in _compat.nodes(model)}, MOVED
    names = [layer.name for layer in _compat.layers_inside(model)]
    assert names[-2:] == ["dense", "relu"], MOVED


def test_profile_message():
    assert _compat.XSpace.FromString(b"").planes is not None, MOVED


def test_neighbors():
    seen = {}

    class Looks(keras.callbacks.Callback):
        def on_train_begin(self, logs=None):
            seen[self] = _compat.neighbors(self)

    first, second = Looks(), Looks()
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    model.fit(tf.zeros([1, 1]), tf.zeros([1, 1]), verbose=0, callbacks=[first, second])
    assert seen[first] == seen[second] and seen[first][:2] == [first, second], MOVED
    assert _compat.neighbors(first) == []


def test_index_of():
    class Watches(keras.optimizers.SGD):
        def update_step(self, gradient, variable, learning_rate):
            seen.append(_compat.index_of(self, variable))

    seen = []
    variables = [keras.Variable([0.0], name="same") for _ in range(3)]
    Watches().apply([tf.zeros([1])] * 3, variables)
    assert sorted(seen) == [0, 1, 2], MOVED


def test_gradients_are_summed_once():
    optimizer = keras.optimizers.SGD()
    assert callable(optimizer._all_reduce_sum_gradients), "the sum over replicas is elsewhere" + MOVED
    pairs = [(tf.zeros([1]), keras.Variable([0.0]))]
    for outer in (optimizer, keras.optimizers.LossScaleOptimizer(optimizer)):
        _compat.expect_summed_gradients(outer)
        assert optimizer._all_reduce_sum_gradients(pairs) == pairs


def test_the_length_of_distributed_data():
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    data = strategy.distribute_datasets_from_function(lambda context: tf.data.Dataset.range(6))
    adapter = keras.src.trainers.data_adapters.get_data_adapter(_compat.with_cardinality(data, 3))
    assert adapter.num_batches == 3, f"Keras {keras.__version__} asks another way" + MOVED


def test_keras_builds_nothing_by_itself():
    built = inspect.signature(keras.Model._maybe_symbolic_build)
    ours = inspect.signature(Detector._maybe_symbolic_build)
    assert [*built.parameters] == [*ours.parameters], f"Keras {keras.__version__} calls it otherwise" + MOVED


@pytest.mark.parametrize("name", ["Functional", "XSpace"])
def test_names(name):
    assert hasattr(_compat, name), MOVED
