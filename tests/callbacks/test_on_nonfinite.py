"""A loss that is not finite stops training or costs a batch, and its images are kept."""

import csv

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_frcnn as kf
from keras_frcnn import images as image_ops
from keras_frcnn.callbacks import Checkpoint, Diverged, OnNonFinite
from keras_frcnn.callbacks.epoch_log import EpochLog
from keras_frcnn.callbacks.run_folder import RunFolder
from keras_frcnn.data.readers import shapes

SIZE = (64, 80)


class Poisoned(kf.RPN):
    """Its loss is no number for some batches, counted over the whole training."""

    def training_losses(self, x, y, training):
        losses, figures = super().training_losses(x, y, training)
        bad = tf.reduce_any(self.consumed.batches == self.bad_batches) & training
        losses["rpn_box_loss"] += tf.where(bad, np.nan, 0.0)
        return losses, figures


def poisoned(network, **options):
    model = Poisoned(network, anchor_sizes=(24, 48, 96), rpn_channels=8, image_size=SIZE)
    model.bad_batches = tf.Variable([-1, -1], dtype=tf.int64)
    model.compile(keras.optimizers.SGD(0.01), **options)
    return model


@pytest.fixture(scope="module")
def model(small_network):
    return poisoned(small_network())


@pytest.fixture(scope="module")
def begin(model, set_back):
    restore = set_back(model)

    def begin_anew(*bad_batches):
        restore()
        model.consumed.batches.assign(0)
        model.bad_batches.assign([*bad_batches, -1, -1][:2])
        return model

    return begin_anew


def data():
    return shapes.load("train", 14).batches(4, image_size=SIZE, training=True, seed=1)


def fit(model, *callbacks, epochs=2):
    return model.fit(data(), epochs=epochs, shuffle=False, verbose=0, callbacks=list(callbacks))


def test_stops_with_the_weights_of_the_step_before(begin, tmp_path):
    fit(model := begin(), epochs=1)
    good = [variable.numpy() for variable in model.trainable_variables]
    model = begin(4)
    with pytest.raises(Diverged) as caught:
        fit(model, OnNonFinite(folder=tmp_path / "bad"), RunFolder(tmp_path))
    (folder,) = (tmp_path / "bad").iterdir()
    sentence = str(caught.value)
    assert sentence.startswith("Epoch 2, step 1: rpn_box_loss is not finite, and the step was not applied. ")
    assert sentence.endswith("Lower the learning rate or mend the images.") and str(folder) in sentence
    for value, variable in zip(good, model.trainable_variables, strict=True):
        np.testing.assert_array_equal(value, variable.numpy())
    saved = keras.saving.load_model(tmp_path / "last.keras", {"Poisoned": Poisoned}, compile=False)
    for value, variable in zip(good, saved.trainable_variables, strict=True):
        np.testing.assert_array_equal(value, variable.numpy())


def test_keeps_the_images_of_the_batch(begin, tmp_path):
    """They are those that training saw, mirrored and in its order, with boxes drawn on them."""
    with pytest.raises(Diverged) as caught:
        fit(begin(2), OnNonFinite(folder=tmp_path))
    x, y = list(data())[2]
    pictures = sorted((tmp_path / "batch-000003").iterdir())
    assert len(pictures) == 4
    for path, image, labels in zip(pictures, x["images"].numpy(), y["labels"].numpy()):
        picture = image_ops.read(path)
        same = (picture == np.rint(image[: SIZE[0], : SIZE[1]])).all(-1)
        assert same.mean() > 0.3 and same.all() == (labels < 0).all()
        assert path.stem.partition("-")[2] in str(caught.value)


@pytest.mark.slow
def test_several_steps_in_one_execution(small_network):
    model = poisoned(small_network(), steps_per_execution=4)
    model.bad_batches.assign([1, -1])
    with pytest.raises(Diverged, match="^Epoch 1, step 2: rpn_box_loss is not finite"):
        fit(model, OnNonFinite())


def test_pictures_that_cannot_be_drawn_hide_nothing(begin, tmp_path):
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(Diverged, match="rpn_box_loss is not finite.* Images, which cannot be drawn in .*"):
        fit(begin(0), OnNonFinite(folder=tmp_path / "file"))


def test_skips_a_batch(begin, tmp_path, capsys):
    history = fit(begin(1, 6), OnNonFinite("skip", tmp_path), EpochLog(tmp_path / "log.csv"))
    out = capsys.readouterr().out.splitlines()
    assert [line.partition(" Images")[0] for line in out] == [
        "Epoch 1, step 2: a loss or gradient is not finite; the batch is skipped, 1 of at most 20.",
        "Epoch 2, step 3: a loss or gradient is not finite; the batch is skipped, 2 of at most 20.",
    ]
    assert np.isfinite(history.history["loss"]).all()
    with open(tmp_path / "log.csv") as file:
        assert [float(row["loss"]) for row in csv.DictReader(file)] == history.history["loss"]
    assert sorted(path.name for path in tmp_path.glob("batch*")) == ["batch-000002", "batch-000007"]


def test_skips_only_so_often(begin):
    callback = OnNonFinite("skip", limit=1)
    with pytest.raises(
        Diverged, match="^Epoch 1, step 3: .* after 1 skipped batches, and the step was not applied. Images: "
    ):
        fit(begin(0, 2), callback)
    assert not bool(begin().finite_update.hidden)


def test_counts_on_after_an_interruption(begin, tmp_path):
    fit(begin(0), OnNonFinite("skip"), Checkpoint(tmp_path), epochs=1)
    callback = OnNonFinite("skip")
    fit(begin(0, 5), callback, Checkpoint(tmp_path))
    assert callback.skipped == 2


def test_a_rate_that_makes_weights_explode(begin, tmp_path):
    """Real divergence: the loss is no number only after updates that are far too large."""
    model = begin()
    model.optimizer.learning_rate = 1e25
    with pytest.raises(Diverged, match="Lower the learning rate"):
        fit(model, OnNonFinite(), epochs=3)
    assert all(np.isfinite(variable.numpy()).all() for variable in model.variables)
    begin().optimizer.learning_rate = float("nan")
    with pytest.raises(Diverged, match="step 1: the learning rate is not finite"):
        fit(model, OnNonFinite())


@pytest.mark.parametrize("write", ["last.keras", "checkpoints"])
def test_weights_that_are_not_finite_are_never_written(begin, tmp_path, write):
    model = begin()
    callback = {"last.keras": RunFolder(tmp_path), "checkpoints": Checkpoint(tmp_path / "checkpoints")}[write]
    poison = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: model.trainable_variables[0].assign(
            np.full(model.trainable_variables[0].shape, np.inf)
        )
    )
    with pytest.raises(ValueError, match="is no longer finite, so .*; lower the learning rate."):
        fit(model, poison, callback, epochs=1)
    assert not (tmp_path / write).exists() and int(begin().consumed.batches) == 0


def test_data_of_ones_own_has_no_names(begin):
    batches = data().take(2)
    with pytest.raises(Diverged, match="not applied. Lower the learning rate"):
        begin(1).fit(batches, shuffle=False, verbose=0, callbacks=[OnNonFinite()])


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [(("warn",), 'action is .warn.; give "stop" or "skip".'), (("skip", None, 0), "limit is 0; give at")],
)
def test_bad_arguments(arguments, sentence):
    with pytest.raises(ValueError, match=sentence):
        OnNonFinite(*arguments)
