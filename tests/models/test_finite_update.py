"""A step whose numbers are not finite changes nothing."""

import subprocess
import sys
import textwrap

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_frcnn as kf
from keras_frcnn.data.readers import shapes

NAMES = [f"class {number}" for number in range(6)]


def compiled(small_network, recipe, dtype="float32", **options):
    keras.utils.set_random_seed(0)
    model = kf.FasterRCNN(NAMES, small_network(), **recipe, dtype=dtype)
    model.compile(keras.optimizers.Adam(1e-3, **options))
    return model


def batch(number=2):
    return next(iter(shapes.load("train", number).batches(number, image_size=(96, 128))))


def state(model):
    """Every number of the model and its optimizer but the seeds, which a refused step draws too."""
    variables = [*model.variables, *model.optimizer.variables]
    return {one.path: one.numpy() for one in variables if "seed" not in one.path}


def changed(model, before):
    after = state(model)
    return {path for path in before if not np.array_equal(before[path], after[path])}


def poisoned(x):
    return {**x, "images": x["images"] * np.float32("nan")}


@pytest.fixture(scope="module", params=["float32", "mixed_float16"])
def model(small_network, recipe, request):
    model = compiled(small_network, recipe, request.param)
    model.train_on_batch(*batch())
    return model


@pytest.fixture
def anew(model):
    model.finite_update.hidden.assign(False)
    model.reset_metrics()
    return model


def test_pixels_that_are_no_numbers(anew):
    x, y = batch()
    before, refused = state(anew), int(anew.finite_update.refused)
    place = int(anew.consumed.batches)
    logs = anew.train_on_batch(poisoned(x), y, return_dict=True)
    assert changed(anew, before) == set() and np.isnan(logs["loss"])
    assert int(anew.finite_update.refused) == refused + 1
    assert int(anew.finite_update.refused_at) == place
    assert int(anew.consumed.batches) == place + 1
    anew.train_on_batch(x, y)
    assert int(anew.finite_update.refused) == refused + 1
    moved = changed(anew, before)
    assert any("moving_variance" in path for path in moved) and any("kernel" in path for path in moved)


@pytest.mark.slow
@pytest.mark.parametrize("hidden", [True, False])
def test_refused_steps_in_the_logs(anew, hidden):
    x, y = batch()
    anew.finite_update.hidden.assign(hidden)
    both = tf.data.Dataset.from_tensors((x, y)).concatenate(tf.data.Dataset.from_tensors((poisoned(x), y)))
    history = anew.fit(both, verbose=0, shuffle=False).history
    assert np.isfinite(history["loss"]) == hidden
    assert np.isfinite(history["proposal_recall"])
    if hidden:
        terms = [value[0] for name, value in history.items() if name not in ("loss", "proposal_recall")]
        assert history["loss"][0] == pytest.approx(sum(terms), rel=1e-5)


def test_a_rate_that_is_no_number(anew):
    rate = float(anew.optimizer.learning_rate)
    anew.optimizer.learning_rate = float("nan")
    before = state(anew)
    logs = anew.train_on_batch(*batch(), return_dict=True)
    assert {path.split("/")[-1] for path in changed(anew, before)} == {"learning_rate"}
    assert np.isfinite(logs["loss"])
    anew.optimizer.learning_rate = rate


def test_an_overflow_that_loss_scaling_mends_is_none(small_network, recipe):
    model = compiled(small_network, recipe, "mixed_float16")
    model.make_train_function()
    scale = model.optimizer.dynamic_scale
    scale.assign(2.0**100)
    before, refused = state(model), int(model.finite_update.refused)
    model.train_on_batch(*batch())
    assert changed(model, before) - {scale.path} == {
        path for path in before if "moving" in path or "count" in path or "total" in path
    } & changed(model, before)
    assert float(scale) == 2.0**99 and int(model.finite_update.refused) == refused
    assert int(model.optimizer.iterations) == 0


def test_a_gradient_alone(small_network, recipe):
    """The loss is finite, its gradient is not: as for the root of zero."""

    class Rough(kf.FasterRCNN):
        def training_losses(self, x, y, training):
            losses, figures = super().training_losses(x, y, training)
            kernel = self.head.class_dense.kernel
            return {
                **losses,
                "class_loss": losses["class_loss"] + keras.ops.sum(keras.ops.sqrt(kernel * 0.0)),
            }, figures

    keras.utils.set_random_seed(0)
    model = Rough(NAMES, small_network(), **recipe)
    model.compile()
    model.make_train_function()
    before = state(model)
    logs = model.train_on_batch(*batch(), return_dict=True)
    assert np.isfinite(logs["loss"]) and int(model.finite_update.refused) == 1
    assert {path for path in changed(model, before) if "mean/" not in path and "total" not in path} == {
        path for path in changed(model, before) if "count" in path
    }


@pytest.mark.slow
def test_what_one_replica_refuses_none_applies():
    program = """
        import keras, numpy as np, tensorflow as tf
        processor = tf.config.list_physical_devices("CPU")[0]
        tf.config.set_logical_device_configuration(processor, [tf.config.LogicalDeviceConfiguration()] * 2)
        import keras_frcnn as kf
        from keras_frcnn.data.readers import shapes
        from tests.conftest import RECIPE, small_pyramid
        strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
        with strategy.scope():
            keras.utils.set_random_seed(0)
            model = kf.FasterRCNN(list("abcdef"), small_pyramid(), **RECIPE)
            model.compile(keras.optimizers.SGD(0.01, momentum=0.9))
            model.optimizer.build(model.trainable_variables)
        x, y = next(iter(shapes.load("train", 4).batches(4, image_size=(96, 128))))
        bad = {**x, "images": tf.concat([x["images"][:2], x["images"][2:] * float("nan")], 0)}
        variables = [*model.trainable_variables, *model.optimizer.variables]
        weights = lambda: [value.numpy() for value in variables]
        moved = lambda before: sum(not np.array_equal(*pair) for pair in zip(before, weights()))
        for batch, expected in ((bad, False), (x, True)):
            before = weights()
            half = lambda context: tf.nest.map_structure(
                lambda part: part[2 * context.replica_id_in_sync_group:][:2], (batch, y)
            )
            halves = strategy.experimental_distribute_values_from_function(half)
            tf.function(lambda: strategy.run(model.train_step, args=(halves,)))()
            assert bool(moved(before)) == expected, moved(before)
        assert all(np.isfinite(value).all() for value in weights())

        # The gradients of all replicas count, and one that overflows in float16 counts for all.
        from keras_frcnn import _compat, replicas
        from keras_frcnn.models.consumed import Consumed
        from keras_frcnn.models.finite_update import FiniteUpdate
        for scaled in (False, True):
            with strategy.scope():
                toy = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False)])
                optimizer = keras.optimizers.SGD(1.0)
                toy.compile(keras.optimizers.LossScaleOptimizer(optimizer, 4.0) if scaled else optimizer)
                toy.optimizer.build(toy.trainable_variables)
                _compat.expect_summed_gradients(toy.optimizer)
                toy.consumed = Consumed()
                update = FiniteUpdate(toy)
            kernel = toy.layers[0].kernel
            start = float(kernel.numpy()[0, 0])

            def run(*each):
                values = strategy.experimental_distribute_values_from_function(
                    lambda context: tf.constant([[each[context.replica_id_in_sync_group]]])
                )
                total = replicas.total_of_known
                step = lambda gradient: update.apply(tf.constant(1.0), total([gradient]), [])
                tf.function(lambda: strategy.run(step, (values,)))()
                return start - float(kernel.numpy()[0, 0])

            size = 4.0 if scaled else 1.0
            assert abs(run(1.0 * size, 10.0 * size) - 11.0) < 1e-4, "not the sum over replicas"
            assert abs(run(1.0, float("inf")) - 11.0) < 1e-4, "one replica overflows, and a weight moved"
            assert int(update.refused.numpy()) == (0 if scaled else 1)
            if scaled:
                assert float(toy.optimizer.dynamic_scale.numpy()) == 2.0
        print("fine")
    """
    answer = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, timeout=300
    )
    assert answer.stdout.strip().endswith("fine"), answer.stderr[-3000:]
