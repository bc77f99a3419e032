import csv
import warnings

import keras
import numpy as np
import pytest

from keras_frcnn.callbacks import DetectionMetrics
from keras_frcnn.data import Record

NAMES = ["val_voc07_ap50", "val_voc_ap50", "val_coco_ap", "val_coco_ap50", "val_coco_ap75"]
BOX = np.array([[10, 10, 60, 50]], np.float32)


class Dataset:
    """One image with one object."""

    name = "made-up"
    class_names = ("thing",)
    proposals = None
    records = [
        Record(
            "0", "0.jpg", 80, 80, BOX, np.zeros(1, np.int32), np.zeros(1, bool), np.full(1, 2000, np.float32)
        )
    ]

    def images(self):
        yield np.zeros([80, 80, 3], np.uint8)


class Model(keras.Model):
    """Learns nothing; each call of detect cuts a little more off the object."""

    class_names = ("thing",)

    def __init__(self):
        super().__init__()
        self.dense = keras.layers.Dense(1)
        self.calls = 0

    def call(self, x):
        return self.dense(x)

    def detect(self, image):
        box = BOX - np.array([[0, 0, 10 * self.calls, 0]], np.float32)
        self.calls += 1
        return {"boxes": box, "scores": np.ones(1, np.float32), "labels": np.zeros(1, np.int32)}


def fit(callbacks, epochs=3, **options):
    model = Model()
    model.compile("sgd", "mse")
    return model, model.fit(
        np.ones([4, 2]), np.ones([4, 1]), epochs=epochs, verbose=0, callbacks=callbacks, **options
    )


@pytest.fixture
def no_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        yield


def test_history_and_later_callbacks_see_the_scores(tmp_path, no_warnings):
    metrics = DetectionMetrics(Dataset())
    checkpoint = keras.callbacks.ModelCheckpoint(
        tmp_path / "best.weights.h5", "val_coco_ap", mode="max", save_best_only=True, save_weights_only=True
    )
    stop = keras.callbacks.EarlyStopping("val_coco_ap", mode="max", patience=5)
    _, history = fit([metrics, keras.callbacks.CSVLogger(tmp_path / "log.csv"), checkpoint, stop])
    # IoU 1, 0.8 and 0.6: right at 10, 7 and 3 of COCO's thresholds, for one at the threshold counts there.
    assert history.history["val_coco_ap"] == pytest.approx([1.0, 0.7, 0.3])
    assert history.history["val_voc_ap50"] == [1.0, 1.0, 1.0]
    assert history.history["val_coco_ap75"] == pytest.approx([1.0, 1.0, 0.0])
    assert checkpoint.best == 1.0 and stop.best == 1.0
    with open(tmp_path / "log.csv") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["val_coco_ap"]) for row in rows] == pytest.approx([1.0, 0.7, 0.3])
    assert set(NAMES) <= set(rows[0])
    assert metrics.results["coco_ap"] == pytest.approx(0.3) and metrics.results["images"] == 1


def test_works_beside_validation_data(no_warnings):
    validation = (np.ones([4, 2]), np.ones([4, 1]))
    _, history = fit([DetectionMetrics(Dataset())], epochs=2, validation_data=validation)
    assert set(history.history) == {"loss", "val_loss", *NAMES}
    assert {len(values) for values in history.history.values()} == {2}


@pytest.mark.parametrize("epochs, every, calls", [(5, 1, 5), (5, 2, 3), (6, 2, 4), (4, 10, 2), (1, 3, 1)])
def test_every_counts_from_the_first_epoch_and_takes_the_last(epochs, every, calls, no_warnings):
    model, history = fit([DetectionMetrics(Dataset(), every=every)], epochs=epochs)
    assert model.calls == len(history.history["val_coco_ap"]) == calls


def test_a_resumed_fit_starts_with_a_score(tmp_path, no_warnings):
    logger = keras.callbacks.CSVLogger(tmp_path / "log.csv")
    model, _ = fit([DetectionMetrics(Dataset(), every=3), logger], epochs=5, initial_epoch=1)
    with open(tmp_path / "log.csv") as file:
        assert [row["val_voc_ap50"] for row in csv.DictReader(file)] == ["1.0", "NA", "NA", "1.0"]
    assert model.calls == 2


@pytest.mark.parametrize(
    "make",
    [
        lambda folder: keras.callbacks.CSVLogger(folder / "log.csv"),
        lambda folder: keras.callbacks.EarlyStopping("val_voc_ap50", mode="max"),
        lambda folder: keras.callbacks.ModelCheckpoint(folder / "best.keras", "val_coco_ap", mode="max"),
        lambda folder: keras.callbacks.ReduceLROnPlateau("val_voc07_ap50", mode="max"),
    ],
)
def test_warns_of_callbacks_that_stand_before_it(tmp_path, make):
    before = make(tmp_path)
    expected = f"{type(before).__name__} cannot see the scores of DetectionMetrics"
    with pytest.warns(UserWarning, match=expected):
        fit([keras.callbacks.TerminateOnNaN(), before, DetectionMetrics(Dataset())], epochs=1)


def test_warns_in_a_list_that_the_user_made(tmp_path):
    callbacks = [keras.callbacks.CSVLogger(tmp_path / "log.csv"), DetectionMetrics(Dataset())]
    model = Model()
    model.compile("sgd", "mse")
    with pytest.warns(UserWarning, match="CSVLogger cannot see"):
        model.fit(
            np.ones([4, 2]),
            np.ones([4, 1]),
            verbose=0,
            callbacks=keras.callbacks.CallbackList(callbacks, add_history=True, model=model),
        )


def test_does_not_warn_of_others_before_it(tmp_path, no_warnings):
    fit([keras.callbacks.EarlyStopping("loss"), DetectionMetrics(Dataset())], epochs=1)


def test_bad_arguments_are_refused():
    with pytest.raises(ValueError, match="leave out .batches"):
        DetectionMetrics([1, 2])
    with pytest.raises(ValueError, match="at least 1, not 0"):
        DetectionMetrics(Dataset(), every=0)
