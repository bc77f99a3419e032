"""Files that an earlier version wrote load and answer the same; `tests/stored/write_earlier.py` made them."""

import pathlib
import zipfile

import keras
import numpy as np
import pytest

from keras_frcnn import export

FOLDER = pathlib.Path(__file__).parents[1] / "stored" / "earlier"


@pytest.fixture(scope="module", params=["pyramid", "one_map"])
def earlier(request):
    """The name of the files, and what the earlier version answered."""
    return request.param, dict(np.load(FOLDER / f"{request.param}.npz"))


def test_a_saved_model(earlier, assert_same):
    name, answer = earlier
    model = keras.saving.load_model(FOLDER / f"{name}.keras")
    proposals = model.propose(answer["image"])["boxes"]
    np.testing.assert_allclose(proposals, answer["proposals"], atol=0.05)
    assert_same(model.detect(answer["image"]), answer)


def test_an_export(earlier, assert_same, tmp_path):
    name, answer = earlier
    with zipfile.ZipFile(FOLDER / f"{name}.zip") as archive:
        archive.extractall(tmp_path)
    assert_same(export.load(tmp_path / "1").detect(answer["image"]), answer)
