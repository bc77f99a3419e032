import keras
import numpy as np
import pytest

from keras_frcnn.callbacks.progress import EpochLines, ImageLines, clock


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


@pytest.fixture
def pass_time(monkeypatch):
    """A function that lets seconds pass; without it time stands still."""
    now = [100.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])

    def seconds(count):
        now[0] += count

    return seconds


def test_an_epoch_speaks_every_ten_seconds_where_output_is_a_file(capsys, pass_time):
    lines = EpochLines()
    lines.set_params({"epochs": 2, "steps": 50})
    lines.on_train_begin()
    lines.on_epoch_begin(0)
    for step in range(50):
        lines.on_train_batch_begin(step)
        pass_time(3)
        lines.on_train_batch_end(step, {"loss": 0.5})
    lines.on_epoch_end(0, {"loss": 0.5})
    for step in range(5):
        pass_time(6)
        lines.on_test_batch_end(step, {"loss": 0.25})
    texts = capsys.readouterr().out.splitlines()
    assert texts[0] == "epoch 1/2  step 4/50  loss 0.500  [0:12 gone, 4:48 left]"
    assert len(texts) == 12 + 1 + 2
    assert texts[-1] == "epoch 1/2  validation step 4  loss 0.250  [2:54 gone, 2:54 left]"
    lines.on_test_end()
    pass_time(10)
    lines.scored(7, 30)
    lines.on_epoch_begin(1)
    pass_time(10)
    lines.on_test_batch_end(0, {"loss": 0.25})
    texts = capsys.readouterr().out.splitlines()
    assert [text.partition("  [")[0] for text in texts] == [
        "epoch 1/2  scoring image 7/30",
        "epoch 2/2  validation step 1/5  loss 0.250",
    ]


def test_an_epoch_that_is_gone_on_with(capsys, pass_time):
    """Its steps count on, and what was done before does not make the time left shorter."""
    lines = EpochLines()
    lines.set_params({"epochs": 2, "steps": 50, "first_step": 40})
    lines.on_train_begin()
    lines.on_epoch_begin(1)
    for step in range(5):
        lines.on_train_batch_begin(step)
        pass_time(12)
        lines.on_train_batch_end(step, {"loss": 0.5})
    texts = capsys.readouterr().out.splitlines()
    assert texts[0] == "epoch 2/2  step 41/50  loss 0.500  [0:12 gone, 1:48 left]"
    assert texts[-1] == "epoch 2/2  step 45/50  loss 0.500  [1:00 gone, 1:00 left]"


def test_images_speak_every_ten_seconds_and_at_the_end(capsys, pass_time):
    show = ImageLines("features")
    for _ in range(2):
        pass_time(60)
        for done in range(1, 11):
            show(done, 10)
            pass_time(3)
        expected = [f"features: {done} of 10 images" for done in (5, 9, 10)]
        assert [line.split("  [")[0] for line in capsys.readouterr().out.splitlines()] == expected


def test_a_short_task_says_nothing(capsys, pass_time):
    show = ImageLines("features")
    for done in range(1, 6):
        pass_time(1)
        show(done, 5)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("seconds, text", [(0, "0:00"), (59.9, "0:59"), (187, "3:07"), (3725.2, "62:05")])
def test_clock(seconds, text):
    assert clock(seconds) == text


def test_a_test_without_a_batch():
    EpochLines().on_test_end()
