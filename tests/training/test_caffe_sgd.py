"""CaffeSGD against the update of Caffe's SGDSolver, written out slowly."""

import itertools
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_frcnn
from keras_frcnn.training import CaffeSGD, StepDecay

RATE, DROP, MOMENTUM, L2, UPDATES = 0.1, 5, 0.9, 0.05, 10


def start_and_gradients(accumulate):
    random = np.random.default_rng(0)
    start = [random.normal(size=[3, 2]), random.normal(size=[2])]
    gradients = [
        [[random.normal(size=value.shape) for value in start] for _ in range(accumulate)]
        for _ in range(UPDATES)
    ]
    return start, gradients


def caffe(start, gradients, bias_rate, bias_decay):
    """Values of kernel and bias after each update: `iter_size`, then decay, then rate, then momentum."""
    values, histories = [value.copy() for value in start], [np.zeros_like(value) for value in start]
    path = []
    for update, batches in enumerate(gradients):
        base_rate = RATE * 0.1 ** (update // DROP)  # lr_policy: "step"
        for index, (rate, decay) in enumerate([(1.0, 1.0), (bias_rate, bias_decay)]):
            difference = sum(batch[index] for batch in batches) / len(batches)
            difference = difference + L2 * decay * values[index]
            histories[index] = base_rate * rate * difference + MOMENTUM * histories[index]
            values[index] = values[index] - histories[index]
        path.append([value.copy() for value in values])
    return path


def variables(start):
    names = ("kernel", "bias")
    return [keras.Variable(value, dtype="float32", name=name) for value, name in zip(start, names)]


def make(accumulate, **arguments):
    schedule = StepDecay(RATE, drops=[DROP * accumulate])
    steps = accumulate if accumulate > 1 else None
    return CaffeSGD(schedule, MOMENTUM, L2, gradient_accumulation_steps=steps, **arguments)


@pytest.mark.parametrize("in_graph", [False, True])
@pytest.mark.parametrize("accumulate", [1, 2, 3])
@pytest.mark.parametrize("bias_rate, bias_decay", [(2.0, True), (2.0, False), (1.0, True)])
def test_it_is_the_update_of_caffe(accumulate, bias_rate, bias_decay, in_graph):
    start, gradients = start_and_gradients(accumulate)
    ours = variables(start)
    optimizer = make(accumulate, bias_rate=bias_rate, l2_on_bias=bias_decay)
    optimizer.build(ours)
    apply = tf.function(lambda *gradients: optimizer.apply(gradients, ours)) if in_graph else None
    for batches, expected in zip(gradients, caffe(start, gradients, bias_rate, float(bias_decay))):
        for batch in batches:
            batch = [tf.constant(gradient, tf.float32) for gradient in batch]
            apply(*batch) if in_graph else optimizer.apply(batch, ours)
        for value, theirs in zip(ours, expected):
            np.testing.assert_allclose(value, theirs, rtol=1e-5, atol=1e-6)


def test_nothing_moves_between_updates():
    start, gradients = start_and_gradients(3)
    ours = variables(start)
    optimizer = make(3)
    for batch in gradients[0][:2]:
        optimizer.apply([tf.constant(gradient, tf.float32) for gradient in batch], ours)
        for value, before in zip(ours, start):
            np.testing.assert_array_equal(value, before.astype("float32"))


def test_the_loss_scale_does_not_reach_the_decay():
    start, gradients = start_and_gradients(1)
    ours = variables(start)
    optimizer = keras.optimizers.LossScaleOptimizer(make(1), initial_scale=1024.0)
    optimizer.build(ours)
    for (batch,) in gradients:
        scaled = [optimizer.scale_loss(tf.constant(gradient, tf.float32)) for gradient in batch]
        optimizer.apply(scaled, ours)
    for value, expected in zip(ours, caffe(start, gradients, 2.0, 1.0)[-1]):
        np.testing.assert_allclose(value, expected, rtol=1e-5, atol=1e-6)


def test_mixed_precision_trains_in_fit():
    images = keras.Input((4,))
    model = keras.Model(images, keras.layers.Dense(2, dtype="mixed_float16")(images))
    before = model.get_weights()
    model.compile(keras.optimizers.LossScaleOptimizer(make(2)), loss="mse")
    model.fit(np.ones([8, 4]), np.ones([8, 2]), batch_size=2, verbose=0)
    for value, old in zip(model.get_weights(), before):
        assert np.isfinite(value).all() and (value != old).all()


def test_a_compiled_model_loads_where_only_the_package_is_imported(tmp_path):
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    rate = StepDecay(0.001, (10,))
    model.compile(CaffeSGD(rate), loss="mse")
    model.fit(np.ones([2, 4]), np.ones([2, 2]), verbose=0)
    model.save(tmp_path / "model.keras")
    script = "import sys, keras, keras_frcnn; print(keras.saving.load_model(sys.argv[1]).optimizer.name)"
    environment = {**os.environ, "PYTHONPATH": str(Path(keras_frcnn.__file__).parents[1])}
    words = [sys.executable, "-c", script, tmp_path / "model.keras"]
    done = subprocess.run(words, env=environment, check=True, capture_output=True, text=True)
    assert done.stdout.strip() == model.optimizer.name


def test_saves_with_its_arguments_and_its_state(tmp_path):
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    arguments = {"bias_rate": 3.0, "l2_on_bias": False, "global_clipnorm": 5.0}
    model.compile(make(2, **arguments), loss="mse")
    model.fit(np.ones([6, 4]), np.ones([6, 2]), batch_size=2, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras").optimizer
    assert isinstance(loaded, CaffeSGD)
    assert loaded.get_config() == model.optimizer.get_config()
    assert (loaded.l2, loaded.bias_rate, loaded.l2_on_bias) == (L2, 3.0, False)
    for ours, theirs in itertools.zip_longest(loaded.variables, model.optimizer.variables):
        np.testing.assert_array_equal(ours, theirs)
