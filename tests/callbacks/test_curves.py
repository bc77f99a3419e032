"""The picture of a run's curves."""

import cv2
import keras
import numpy as np

from keras_frcnn.callbacks.curves import Curves, draw
from keras_frcnn.callbacks.epoch_log import EpochLog


def test_a_picture_of_every_log(tmp_path):
    rows = [
        {"epoch": 0, "loss": 2.0, "class_loss": 1.0, "proposal_recall": 0.2},
        {"epoch": 1, "loss": 1.0, "class_loss": 0.5, "val_loss": 1.5, "val_voc_ap50": 0.5},
    ]
    for number, some in enumerate((rows, rows[:1], [{"epoch": 0}])):
        draw(some, tmp_path / f"{number}.png")
        assert cv2.imread(str(tmp_path / f"{number}.png")).shape[1] > 1000


def test_it_is_drawn_after_the_first_epoch_and_at_the_end(tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr("keras_frcnn.callbacks.curves.draw", lambda rows, path: drawn.append(len(rows)))
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    log = EpochLog(tmp_path / "log.csv")
    x, y = np.ones([4, 2]), np.ones([4, 1])
    model.fit(x, y, epochs=3, verbose=0, callbacks=[log, Curves(log, tmp_path / "curves.png")])
    assert drawn == [1, 3]
