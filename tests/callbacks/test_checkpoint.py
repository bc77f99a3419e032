"""A `fit` that is interrupted and called again ends as if it had not been."""

import json
import os
import random
import shutil
import signal
import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_frcnn as kf
from keras_frcnn.callbacks import Checkpoint, checkpoint_files
from keras_frcnn.callbacks.checkpoint import Interrupted
from keras_frcnn.callbacks.epoch_log import EpochLog
from keras_frcnn.callbacks.training_state import TrainingState
from keras_frcnn.data.readers import shapes

EPOCHS, STEPS = 3, 4


class Blow(Exception):
    """Stands for a pulled plug."""


class Stop(keras.callbacks.Callback):
    """Does something at a moment: "step", "test" or "end" of an epoch, after so many of these."""

    def __init__(self, moment=None, after=0, what=None):
        super().__init__()
        self._moment, self._left, self._what = moment, after, what

    def _at(self, moment):
        self._left -= moment == self._moment
        if moment == self._moment and self._left < 0:
            self._moment = None
            if self._what is None:
                raise Blow
            self._what()

    def on_train_batch_begin(self, batch, logs=None):
        self._at("step")

    def on_test_batch_end(self, batch, logs=None):
        self._at("test")

    def on_epoch_end(self, epoch, logs=None):
        self._at("end")


class Draws(keras.callbacks.Callback):
    """Draws from every random generator after each step, and remembers the numbers."""

    def __init__(self):
        super().__init__()
        self.drawn = []

    def on_train_batch_end(self, batch, logs=None):
        numbers = random.random(), np.random.rand(), float(keras.random.uniform([]))
        self.drawn.append([*numbers, float(tf.random.get_global_generator().uniform([]))])


@pytest.fixture(scope="module")
def model(small_network):
    keras.utils.set_random_seed(0)
    model = kf.RPN(small_network(), anchor_sizes=(24, 48, 96), rpn_channels=8, image_size=(64, 80))
    average = {"use_ema": True, "ema_momentum": 0.9, "ema_overwrite_frequency": None}
    model.compile(keras.optimizers.SGD(0.01, momentum=0.9, **average))
    return model


@pytest.fixture(scope="module")
def begin(model, set_back):
    """A function that makes the model new; all random generators go elsewhere."""
    restore = set_back(model)

    def begin_anew(seed):
        restore()
        model.consumed.batches.assign(0)
        keras.utils.set_random_seed(seed)
        tf.random.set_global_generator(tf.random.Generator.from_seed(seed))
        return model

    return begin_anew


def fit(model, folder, stop=None, epochs=EPOCHS, data=None, **options):
    draws = Draws()
    arguments = dict(image_size=(64, 80), seed=1)
    history = model.fit(
        data or shapes.load("train", 14).batches(4, training=True, **arguments),
        validation_data=shapes.load("val", 4).batches(4, **arguments),
        epochs=epochs,
        shuffle=False,
        verbose=0,
        callbacks=[
            draws,
            stop or Stop(),
            keras.callbacks.EarlyStopping("loss", patience=9),
            EpochLog(folder / "log.csv"),
            Checkpoint(folder / "checkpoints", **options),
        ],
    )
    return {
        "weights": [variable.numpy() for variable in (*model.variables, *model.optimizer.variables)],
        "history": history.history,
        "epochs": history.epoch,
        "log": (folder / "log.csv").read_bytes(),
        "drawn": draws.drawn,
    }


@pytest.fixture(scope="module")
def whole(begin, tmp_path_factory):
    """What a run that nothing interrupts leaves."""
    folder = tmp_path_factory.mktemp("whole")
    return fit(begin(1), folder, every_steps=1)


def assert_same(result, whole):
    for mine, theirs in zip(result["weights"], whole["weights"], strict=True):
        np.testing.assert_array_equal(mine, theirs)
    assert result["drawn"] == whole["drawn"]
    assert {**result, "weights": 0} == {**whole, "weights": 0}


@pytest.mark.parametrize(
    ("stop", "every"),
    [
        pytest.param(("step", 1), 1, marks=pytest.mark.slow),
        pytest.param(("step", 4), 1, marks=pytest.mark.slow),  # after the first epoch
        (("step", 10), 3),  # some steps are lost and made again
        (("test", 1), 1),  # while it validates after the second epoch: all its steps are done
        pytest.param(("end", 0), 4, marks=pytest.mark.slow),  # while callbacks end the first epoch
        pytest.param(("end", 2), 5, marks=pytest.mark.slow),
    ],
)
def test_goes_on_as_if_nothing_had_happened(begin, whole, tmp_path, stop, every):
    handlers = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    with pytest.raises(Blow):
        fit(begin(1), tmp_path, Stop(*stop), every_steps=every)
    assert_same(fit(begin(2), tmp_path, every_steps=every), whole)
    assert handlers == (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT))


def test_an_error_leaves_nothing_behind(begin, tmp_path):
    """Also where only the end of an epoch is left, so that a step which computes nothing was in place."""
    handlers = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    with pytest.raises(Blow):
        fit(begin(1), tmp_path, Stop("test", 0), every_steps=1)
    with pytest.raises(Blow):
        fit(model := begin(2), tmp_path, Stop("step", 0))
    assert handlers == (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT))
    data = shapes.load("train", 4).batches(4, image_size=(64, 80), training=True)
    assert model.fit(data, epochs=1, shuffle=False, verbose=0).epoch == [0]
    assert int(model.consumed.batches) == 4 + 1 and model.consumed.undo == []


@pytest.mark.slow
def test_interrupted_again_and_again(begin, whole, tmp_path):
    for moment in ("step", "step", "test", "end", "step"):
        with pytest.raises(Blow):
            fit(begin(1), tmp_path, Stop(moment, 1 if moment == "step" else 0), every_steps=1)
    assert_same(fit(begin(2), tmp_path), whole)


@pytest.mark.parametrize(
    ("moment", "number"),
    [
        (("step", 6), signal.SIGTERM),
        pytest.param(("step", 6), signal.SIGINT, marks=pytest.mark.slow),
        pytest.param(("test", 0), signal.SIGTERM, marks=pytest.mark.slow),
        pytest.param(("end", 1), signal.SIGTERM, marks=pytest.mark.slow),
    ],
)
def test_a_signal_writes_a_checkpoint(begin, whole, tmp_path, moment, number):
    handlers = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    stop = Stop(*moment, lambda: os.kill(os.getpid(), number))
    with pytest.raises(Interrupted, match="Stopped; .*checkpoints has the whole state.") as caught:
        fit(begin(1), tmp_path, stop)
    assert caught.value.number == number
    assert handlers == (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT))
    assert len(checkpoint_files.all_of(tmp_path / "checkpoints")) == 1
    assert_same(fit(begin(2), tmp_path), whole)


@pytest.mark.slow
def test_more_epochs_after_the_last(begin, whole, tmp_path, capsys):
    fit(begin(1), tmp_path, epochs=2)
    again = fit(begin(2), tmp_path, epochs=2)
    assert again["epochs"] == [0, 1] and len(again["history"]["loss"]) == 2
    assert "epoch 3, step 1." in capsys.readouterr().out
    assert_same(fit(begin(3), tmp_path), whole)


@pytest.mark.slow
@pytest.mark.parametrize(
    "after",
    [
        3,  # goes on within an epoch of the data, which ends within the same `fit`
        pytest.param(5, marks=pytest.mark.slow),  # between two epochs of the data
    ],
)
def test_data_without_end(begin, tmp_path, after):
    arguments = dict(image_size=(64, 80), training=True, seed=1)
    results = []
    for place in (None, ("step", after)):
        folder = tmp_path / str(place)
        folder.mkdir()
        for stop in ((Stop(*place),) if place else ()) + (Stop(),):
            data = shapes.load("train", 14).batches(4, **arguments).repeat()
            model = begin(1)
            try:
                results.append(_steps(model, data, folder, stop))
            except Blow:
                pass
    for mine, theirs in zip(*results, strict=True):
        np.testing.assert_array_equal(mine, theirs)


def _steps(model, data, folder, stop):
    """Three epochs of three steps each, while an epoch of the data has four."""
    callbacks = [stop, Checkpoint(folder / "checkpoints", every_steps=2)]
    model.fit(data, steps_per_epoch=3, epochs=3, shuffle=False, verbose=0, callbacks=callbacks)
    return [variable.numpy() for variable in model.variables]


@pytest.mark.slow
def test_data_that_cannot_be_moved(begin, tmp_path):
    scenes = shapes.load("train", 14)
    arguments = dict(image_size=(64, 80), training=True, seed=1, repeat=True)
    with pytest.raises(Blow):
        _steps(begin(1), scenes.batches(4, **arguments), tmp_path, Stop("step", 5))
    with pytest.raises(ValueError, match="cannot be moved; make them with first_epoch=1, first_batch=0."):
        _steps(begin(1), scenes.batches(4, **arguments), tmp_path, Stop())
    _steps(begin(1), scenes.batches(4, **arguments, first_batch=4), tmp_path, Stop())
    assert int(begin(1).consumed.batches) == 0


@pytest.mark.slow
def test_the_last_steps_of_an_epoch_are_fewer_than_an_execution(begin, whole, tmp_path):
    """Four batches an epoch, three for each call of the step; the rest of the second epoch is one."""

    def run(model, stop=None):
        model.compile(model.optimizer, steps_per_execution=3)
        return fit(model, tmp_path, stop, every_steps=3)

    try:
        with pytest.raises(Blow):
            run(begin(1), Stop("step", 3))
        assert_same({**run(begin(2)), "drawn": 0}, {**whole, "drawn": 0})
    finally:
        begin(1).compile(begin(1).optimizer)


@pytest.mark.slow
def test_a_model_of_other_classes_is_refused(make_model, tmp_path):
    scenes = shapes.load("train", 4)

    def run(names):
        model = make_model(names)
        model.compile()
        data = scenes.with_class_names(names).batches(4, image_size=(64, 80), training=True)
        model.fit(data, epochs=1, shuffle=False, verbose=0, callbacks=[Checkpoint(tmp_path, every_steps=1)])

    run(scenes.class_names)
    with pytest.raises(ValueError, match="of the classes circle, .*; go on with the same, or begin anew"):
        run(scenes.class_names[::-1])


@pytest.mark.slow
def test_other_arguments_of_the_model_are_told(make_model, tmp_path):
    scenes = shapes.load("train", 4)

    def run(epochs, **arguments):
        model = make_model(scenes.class_names, **arguments)
        model.compile()
        data = scenes.batches(4, image_size=model.image_size, training=True)
        model.fit(data, epochs=epochs, shuffle=False, verbose=0, callbacks=[Checkpoint(tmp_path)])

    run(1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        run(1)  # the network, which is another object of the same kind, does not count
    with pytest.warns(UserWarning, match="was written with another nms_iou, score_threshold of the model"):
        run(1, nms_iou=0.4, score_threshold=0.2)


@pytest.mark.slow
def test_a_plateau_is_one_also_after_a_resume(begin, tmp_path):
    """Keras turns the sign of `min_delta` at the end of the first epoch that it sees."""

    def run(model, epochs):
        plateau = keras.callbacks.ReduceLROnPlateau("loss", min_delta=0.5, patience=9)
        data = shapes.load("train", 4).batches(4, image_size=(64, 80), training=True)
        callbacks = [plateau, Checkpoint(tmp_path)]
        model.fit(data, epochs=epochs, shuffle=False, verbose=0, callbacks=callbacks)
        return plateau

    assert run(begin(1), 1).min_delta == run(begin(2), 2).min_delta == -0.5


@pytest.mark.slow
def test_a_stop_at_the_end_of_a_resumed_epoch_stops(begin, tmp_path):
    with pytest.raises(Blow):
        fit(begin(1), tmp_path, Stop("step", 5), every_steps=1)
    model = begin(2)

    def stop():
        model.stop_training = True

    assert fit(model, tmp_path, Stop("step", 2, stop), epochs=9)["epochs"] == [0, 1]


@pytest.mark.slow
def test_a_signal_while_it_restores(begin, whole, tmp_path, monkeypatch):
    with pytest.raises(Blow):
        fit(begin(1), tmp_path, Stop("step", 5), every_steps=1)
    (path,) = checkpoint_files.all_of(tmp_path / "checkpoints")[:1]
    restore = TrainingState.restore

    def interrupted(*arguments):
        os.kill(os.getpid(), signal.SIGTERM)
        restore(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(TrainingState, "restore", interrupted)
        with pytest.raises(Interrupted):
            fit(begin(2), tmp_path)
    assert path in checkpoint_files.all_of(tmp_path / "checkpoints")
    assert_same(fit(begin(3), tmp_path), whole)


def test_data_whose_place_is_not_known(begin, tmp_path):
    data = shapes.load("train", 14).batches(4, image_size=(64, 80)).take(2)
    with pytest.raises(ValueError, match="give fit the batches of a data set from keras_frcnn.data as they"):
        fit(begin(1), tmp_path, data=data)


def test_another_model_is_refused(begin, small_network, tmp_path):
    fit(begin(1), tmp_path, epochs=1)
    other = kf.RPN(small_network(), anchor_sizes=(24, 48, 96), rpn_channels=9, image_size=(64, 80))
    other.compile()
    with pytest.raises(ValueError, match="is of another model or optimizer than this one"):
        fit(other, tmp_path)


@pytest.mark.slow
def test_a_rate_that_was_changed_is_kept(begin, tmp_path, capsys):
    fit(begin(1), tmp_path, epochs=1)
    model = begin(1)
    model.optimizer.learning_rate = 0.001
    fit(model, tmp_path, epochs=2)
    assert float(model.optimizer.learning_rate) == pytest.approx(0.001)
    assert "The learning rate is 0.001 now; " in capsys.readouterr().out


@pytest.mark.slow
def test_a_state_with_other_logs_goes_on(begin, whole, tmp_path, monkeypatch):
    """As those of an earlier version, whose RPN did not log the average recall."""
    every = TrainingState._mean_variables
    with monkeypatch.context() as earlier, pytest.raises(Blow):
        earlier.setattr(TrainingState, "_mean_variables", lambda self: every(self)[:-1])
        fit(begin(1), tmp_path, Stop("step", 6), every_steps=1)
    result = fit(begin(2), tmp_path, every_steps=1)
    for mine, theirs in zip(result["weights"], whole["weights"], strict=True):
        if mine.size:
            np.testing.assert_array_equal(mine, theirs)


@pytest.mark.slow
def test_other_data_are_told(begin, tmp_path):
    fit(begin(1), tmp_path, epochs=1)
    other = shapes.load("train", 14).batches(7, image_size=(64, 80), training=True, seed=1)
    with pytest.warns(UserWarning, match="was written with other data .*'batch size': 4"):
        fit(begin(1), tmp_path, epochs=1, data=other)


@pytest.mark.slow
def test_damage_to_all_of_them_begins_anew(begin, whole, tmp_path, capsys):
    fit(begin(1), tmp_path, epochs=2, every_steps=2)
    for path in checkpoint_files.all_of(tmp_path / "checkpoints"):
        (path / checkpoint_files.ARRAYS).write_bytes(b"")
    (tmp_path / "checkpoints" / ".step-0000000009-000002.partial").mkdir()
    assert_same(fit(begin(1), tmp_path, every_steps=2), whole)
    assert "; training begins anew." in capsys.readouterr().out
    assert len(list((tmp_path / "checkpoints").iterdir())) == 2


@pytest.mark.slow
def test_other_threads_are_told(begin, tmp_path):
    fit(begin(1), tmp_path, epochs=1)
    (path,) = checkpoint_files.all_of(tmp_path / "checkpoints")
    arrays, state = checkpoint_files.read(path)
    state["threads"]["processors"] += 1
    checkpoint_files.write(path.parent, path.name, arrays, state, keep=2)
    with pytest.warns(UserWarning, match="was written with other threads .* the last bits"):
        fit(begin(1), tmp_path, epochs=1)


@pytest.fixture(scope="module")
def checkpoints(begin, tmp_path_factory):
    """A folder with two checkpoints."""
    folder = tmp_path_factory.mktemp("two")
    fit(begin(1), folder, epochs=1, every_steps=2)
    paths = checkpoint_files.all_of(folder / "checkpoints")
    assert len(paths) == 2
    return paths


@pytest.mark.parametrize("name", [checkpoint_files.ARRAYS, checkpoint_files.MANIFEST])
def test_one_that_is_cut_off_or_changed_is_not_loaded(checkpoints, tmp_path, name, capsys):
    shutil.copytree(checkpoints[0].parent, tmp_path / "checkpoints")
    older, newer = checkpoint_files.all_of(tmp_path / "checkpoints")
    contents = (newer / name).read_bytes()
    rng = np.random.default_rng(0)
    damaged = [contents[: len(contents) * tenth // 10] for tenth in range(10)]
    for place in rng.integers(0, len(contents), 30):
        flipped = bytearray(contents)
        flipped[place] ^= 1 << int(rng.integers(8))
        damaged.append(bytes(flipped))
    for bad in damaged:
        (newer / name).write_bytes(bad)
        with pytest.raises(checkpoint_files.Damaged):
            checkpoint_files.read(newer)
    assert checkpoint_files.newest(tmp_path / "checkpoints")[0] == older
    assert capsys.readouterr().out.strip().endswith("; the checkpoint before it is taken.")
    (newer / name).unlink()
    assert checkpoint_files.newest(tmp_path / "checkpoints")[0] == older
    shutil.rmtree(older)
    assert checkpoint_files.newest(tmp_path / "checkpoints") is None


def test_a_manifest_says_what_is_in_it(checkpoints):
    _, state = checkpoint_files.read(checkpoints[-1])
    assert state["versions"]["keras"] == keras.__version__ and state["threads"]["processors"] >= 1
    assert state["model"]["class"] == "RPN" and state["model"]["rpn_channels"] == 8
    assert (state["epoch"], state["step"], state["batches"]) == (1, 0, 4)
    json.dumps(state, allow_nan=True)


@pytest.mark.parametrize(("cost", "count"), [(0.0, 4), (0.5, 4), (3.0, 1)])
def test_large_checkpoints_are_written_seldom(begin, tmp_path, monkeypatch, cost, count):
    """A step takes a minute here, and a checkpoint so many minutes."""
    now = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    write = checkpoint_files.write

    def slowly(*arguments):
        now[0] += 60.0 * cost
        return write(*arguments)

    def step(batch, logs=None):
        now[0] += 60.0 * (30 if cost == 0.5 else 1)

    monkeypatch.setattr(checkpoint_files, "write", slowly)
    pace = keras.callbacks.LambdaCallback(on_train_batch_begin=step)
    checkpoint = Checkpoint(tmp_path, every_minutes=1)
    data = shapes.load("train", 14).batches(4, image_size=(64, 80), training=True)
    begin(1).fit(data, epochs=1, shuffle=False, verbose=0, callbacks=[pace, checkpoint])
    # The last one comes at the end of the epoch.
    assert len(checkpoint.seconds) == count + 1


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"every_steps": 0}, "every_steps is 0; give a number above 0, or None."),
        ({"every_minutes": -1}, "every_minutes is -1; give a number above 0, or None."),
        ({"keep": 0}, "keep is 0; give at least 1."),
    ],
)
def test_bad_arguments(arguments, sentence):
    with pytest.raises(ValueError, match=sentence):
        Checkpoint("folder", **arguments)
