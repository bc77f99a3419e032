import json

import keras
import numpy as np
import pytest

from keras_frcnn.callbacks.run_folder import RunFolder


@pytest.fixture
def model():
    return keras.Sequential(
        [keras.Input((2,)), keras.layers.Dense(1, use_bias=False, kernel_initializer="zeros")]
    )


def epoch(folder, model, number, **logs):
    """End an epoch after which the weights hold its number."""
    model.set_weights([np.full([2, 1], float(number))])
    folder.on_epoch_end(number, logs)


def number_in(path):
    return int(keras.saving.load_model(path).get_weights()[0][0, 0])


def test_keeps_the_last_and_the_best(tmp_path, model):
    folder = RunFolder(tmp_path / "runs" / "one", monitor="score")
    folder.set_model(model)
    for number, score in enumerate([0.0, 0.7, 0.7, 0.2, float("nan")]):
        epoch(folder, model, number, score=score)
    assert sorted(path.name for path in folder.folder.iterdir()) == ["best.keras", "last.keras"]
    assert number_in(folder.folder / "last.keras") == 4
    assert number_in(folder.folder / "best.keras") == 2  # of equal ones the later


def test_goes_on_from_its_best_but_not_from_that_of_another_score(tmp_path, model):
    before = RunFolder(tmp_path, monitor="score")
    before.set_model(model)
    epoch(before, model, 3, score=0.9)
    state = json.loads(json.dumps(before.state()))
    for name, kept in (("score", 3), ("other", 4)):
        after = RunFolder(tmp_path, monitor=name)
        after.set_model(model)
        after.restore(state)
        epoch(after, model, 4, **{name: 0.5})
        assert number_in(tmp_path / "best.keras") == kept


def test_an_epoch_without_a_score_is_not_the_best(tmp_path, model):
    folder = RunFolder(tmp_path, monitor="score")
    folder.set_model(model)
    epoch(folder, model, 0)
    assert [path.name for path in tmp_path.iterdir()] == ["last.keras"]


def test_a_save_that_fails_leaves_the_old_file_whole(tmp_path, model, monkeypatch):
    folder = RunFolder(tmp_path, monitor="score")
    folder.set_model(model)
    epoch(folder, model, 1, score=0.1)

    def torn(path):
        path.write_bytes(b"half a file")
        raise OSError("no space left on device")

    monkeypatch.setattr(model, "save", torn)
    with pytest.raises(OSError, match="no space"):
        epoch(folder, model, 2, score=0.2)
    assert number_in(tmp_path / "last.keras") == number_in(tmp_path / "best.keras") == 1
