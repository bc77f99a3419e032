"""What trained detectors find is the same whatever way one asks: `detect`, their files, and every server."""

import subprocess
import sys

import cv2
import numpy as np
import pytest
import tensorflow as tf

from keras_frcnn import export

# One of the two detectors is enough for what starts a process of its own.
ONE = pytest.mark.parametrize(
    "trained", ["pyramid", pytest.param("one_map", marks=pytest.mark.slow)], indirect=True
)
FRESH = """
import sys, keras, numpy as np, keras_frcnn
model = keras.saving.load_model(sys.argv[1])
images = np.load(sys.argv[2])
np.savez(sys.argv[3], *[value for answer in model.detect([*images]) for value in answer.values()])
"""


@pytest.fixture(scope="module")
def served(trained, scenes, tmp_path_factory):
    """The folder of an export, six scenes, their files, and what `detect` finds in them."""
    folder = tmp_path_factory.mktemp("trained")
    images = [scenes.image(index) for index in range(6)]
    files = [folder / f"{index}.png" for index in range(6)]
    for file, image in zip(files, images):
        cv2.imwrite(str(file), image[..., ::-1])
    trained.export(folder / "1")
    found = trained.detect(images)
    assert sum(len(answer["scores"]) for answer in found) > 20
    return folder, images, files, found


def test_the_reader_of_the_export(served, assert_same):
    folder, images, _, found = served
    for answer, expected in zip(export.load(folder / "1").detect(images), found, strict=True):
        assert_same(answer, expected)


def test_both_signatures(served, assert_same, from_contract):
    folder, images, files, found = served
    signatures = tf.saved_model.load(str(folder / "1")).signatures
    encoded = signatures["serving_bytes"](image_bytes=tf.constant([file.read_bytes() for file in files]))
    plain = signatures["serving_default"](input_tensor=tf.constant(np.stack(images)))
    for row, expected in enumerate(found):
        assert_same(from_contract(encoded, row, images[row].shape[:2]), expected)
        assert_same(from_contract(plain, row, images[row].shape[:2]), expected)


@ONE
def test_a_c_program_without_python(served, without_python, assert_same, from_contract):
    folder, images, files, found = served
    answer = without_python(folder / "1", files)
    for row, expected in enumerate(found):
        assert_same(from_contract(answer, row, images[row].shape[:2]), expected)


@ONE
def test_its_file_in_a_fresh_process(served, trained, assert_same, tmp_path):
    _, images, _, found = served
    trained.save(tmp_path / "model.keras")
    np.save(tmp_path / "images.npy", images)
    words = [sys.executable, "-c", FRESH, *(tmp_path / name for name in ("model.keras", "images.npy"))]
    subprocess.run([*words, tmp_path / "answers.npz"], check=True, capture_output=True)
    values = [*np.load(tmp_path / "answers.npz").values()]
    for row, expected in enumerate(found):
        assert_same(dict(zip(expected, values[3 * row : 3 * row + 3])), expected)
