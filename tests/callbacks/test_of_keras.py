"""Callbacks of Keras itself work in `fit`, all at once, and leave what they should."""

import csv

import keras
import numpy as np
import pytest
import tensorflow as tf

EPOCHS = 6


class Interrupt(keras.callbacks.Callback):
    """Raises in the middle of an epoch, as a power failure would."""

    def __init__(self, epoch):
        super().__init__()
        self.epoch = epoch

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == self.epoch:
            raise KeyboardInterrupt


@pytest.fixture(scope="module")
def left(make_model, make_batches, tmp_path_factory):
    """What one `fit` left: the model, its history and the folder; the fit was interrupted and went on."""
    folder, batches = tmp_path_factory.mktemp("callbacks"), make_batches(2)

    def callbacks():
        of_keras = keras.callbacks
        return [
            of_keras.BackupAndRestore(folder / "backup"),
            of_keras.ModelCheckpoint(
                folder / "best.keras", monitor="val_loss", save_best_only=True, initial_value_threshold=1e9
            ),
            of_keras.ModelCheckpoint(folder / "{epoch:02d}.weights.h5", save_weights_only=True),
            of_keras.EarlyStopping(monitor="val_loss", patience=20, restore_best_weights=True),
            # The loss never falls by a million, so the rate is halved after every second epoch.
            of_keras.ReduceLROnPlateau(monitor="loss", factor=0.5, patience=2, min_delta=1e6, min_lr=1e-9),
            of_keras.LearningRateScheduler(lambda epoch, rate: 0.002 if epoch == 0 else rate),
            of_keras.TensorBoard(folder / "board", write_graph=False),
            of_keras.CSVLogger(folder / "log.csv", append=True),
            of_keras.TerminateOnNaN(),
        ]

    def fit(*further):
        model = make_model()
        model.compile(keras.optimizers.SGD(0.1, global_clipnorm=1.0))
        history = model.fit(
            batches,
            validation_data=batches,
            epochs=EPOCHS,
            shuffle=False,
            verbose=0,
            callbacks=[*callbacks(), *further],
        )
        return model, history.history

    with pytest.raises(KeyboardInterrupt):
        fit(Interrupt(2))
    model, history = fit()
    return model, history, folder


def test_the_backup_goes_on_where_it_was(left):
    _, history, folder = left
    assert len(history["loss"]) == EPOCHS - 2
    assert not [*folder.glob("backup/**/*.h5")]  # it is removed at the end


def test_the_log_has_every_epoch_once(left):
    _, history, folder = left
    rows = [*csv.DictReader((folder / "log.csv").open())]
    assert [int(row["epoch"]) for row in rows] == [*range(EPOCHS)]
    np.testing.assert_allclose([float(row["loss"]) for row in rows[2:]], history["loss"], rtol=1e-6)
    assert {"rpn_class_loss", "box_loss", "proposal_recall", "val_class_loss"} <= {*rows[0]}


def test_the_rate_is_scheduled_then_reduced(left):
    _, history, folder = left
    rates = [float(row["learning_rate"]) for row in csv.DictReader((folder / "log.csv").open())]
    assert rates[0] == pytest.approx(0.002)
    assert rates[-1] < rates[2]


def test_files_hold_the_best_and_every_epoch(left, image_of):
    model, history, folder = left
    losses = [float(row["val_loss"]) for row in csv.DictReader((folder / "log.csv").open())]
    assert len([*folder.glob("*.weights.h5")]) == EPOCHS
    best = keras.saving.load_model(folder / "best.keras")
    # The second fit knows only its own epochs.
    epoch = 2 + int(np.argmin(losses[2:]))
    reference = keras.models.clone_model(best)
    reference.load_weights(folder / f"{epoch + 1:02}.weights.h5")
    for one, other in zip(best.trainable_variables, reference.trainable_variables):
        np.testing.assert_array_equal(one.numpy(), other.numpy())
    assert len(best.detect(image_of(96, 128))["boxes"]) > 0


def test_the_board_has_the_losses(left):
    _, history, folder = left
    tags = {}
    for file in sorted(folder.glob("board/train/*tfevents*")):
        for event in tf.compat.v1.train.summary_iterator(str(file)):
            for value in event.summary.value:
                tags.setdefault(value.tag, []).append(float(tf.make_ndarray(value.tensor)))
    assert len(tags["epoch_loss"]) == EPOCHS
    np.testing.assert_allclose(tags["epoch_loss"][2:], history["loss"], rtol=1e-5)
    assert "epoch_proposal_recall" in tags
