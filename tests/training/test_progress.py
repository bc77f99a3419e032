import keras
import numpy as np
import pytest

from keras_frcnn.training.progress import EpochLines, ImageLines, clock


class Score(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        logs["val_voc_ap50"] = 0.125 * (epoch + 1)


def test_one_line_an_epoch(capsys):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, kernel_initializer="zeros")])
    model.compile(keras.optimizers.SGD(0.0), "mse")
    model.fit(np.ones([4, 2]), np.ones([4, 1]), epochs=2, verbose=0, callbacks=[Score(), EpochLines()])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("  [")[0] for line in lines] == [
        "epoch 1/2  loss 1.000  val_voc_ap50 0.125",
        "epoch 2/2  loss 1.000  val_voc_ap50 0.250",
    ]
    assert lines[1].endswith("0:00 left]")


def test_lines_of_images_come_seldom_but_at_the_end(capsys):
    show = ImageLines("features")
    for done in range(1, 6):
        show(done, 5)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("  [")[0] for line in lines] == ["features: 1 of 5 images", "features: 5 of 5 images"]


@pytest.mark.parametrize("seconds, text", [(0, "0:00"), (59.9, "0:59"), (187, "3:07"), (3725.2, "62:05")])
def test_clock(seconds, text):
    assert clock(seconds) == text
