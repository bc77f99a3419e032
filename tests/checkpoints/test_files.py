"""Files of tensors: what is read, and what is said of those that are not whole."""

import re
import sys

import ml_dtypes
import numpy as np
import pytest

from keras_frcnn import checkpoints

TENSORS = {
    "first.weight": np.arange(24, dtype=np.float32).reshape(2, 3, 4),
    "second.bias": np.array([1.5, -2.0], np.float16),
    "second.count": np.array(7, np.int64),
}


def refused(path, match):
    with pytest.raises(ValueError, match=match) as error:
        checkpoints.read(path)
    text = str(error.value)
    assert str(path) in text and "\n" not in text and not re.search(r"\.\s+[A-Z]", text)


def assert_equal(found, expected=TENSORS):
    assert found.keys() == expected.keys()
    for name, array in expected.items():
        assert found[name].shape == array.shape and found[name].dtype == array.dtype
        np.testing.assert_array_equal(found[name], array)


@pytest.fixture
def safetensors(tmp_path):
    numpy = pytest.importorskip("safetensors.numpy")
    path = tmp_path / "a.safetensors"
    bfloat = {"third.weight": np.array([0.5, 3.0], ml_dtypes.bfloat16)}
    numpy.save_file({**TENSORS, **bfloat}, path, metadata={"format": "pt"})
    return path, bfloat


@pytest.fixture
def npz(tmp_path):
    np.savez(tmp_path / "a.npz", **TENSORS)
    return tmp_path / "a.npz"


def test_safetensors(safetensors):
    path, bfloat = safetensors
    assert_equal(checkpoints.read(path), {**TENSORS, **bfloat})


def test_npz_and_dict(npz):
    assert_equal(checkpoints.read(npz))
    assert_equal(checkpoints.read(str(npz)))
    assert_equal(checkpoints.read(TENSORS))


def test_a_safetensors_file_that_is_cut_off(safetensors):
    path, _ = safetensors
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])
    refused(path, r"cut off at tensor \w+\.\w+")
    path.write_bytes(whole[:40])
    refused(path, "cut off within its header")
    path.write_bytes(b"")
    refused(path, "cut off within its header")
    path.write_bytes((12).to_bytes(8, "little") + b"no tensors..")
    refused(path, "has a header that is none")


def test_an_npz_file_that_is_cut_off(npz):
    whole = npz.read_bytes()
    npz.write_bytes(whole[:-100])
    refused(npz, r"cut off at tensor second\.count")
    npz.write_bytes(b"no zip")
    refused(npz, "is no .npz file")


def test_code_in_an_npz_file_is_not_run(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, **{"first.weight": np.array([print], object)})
    refused(path, "tensor first.weight, or holds no array there")


def test_files_that_are_none(tmp_path):
    with pytest.raises(FileNotFoundError, match="There is no weights file"):
        checkpoints.read(tmp_path / "a.npz")
    (tmp_path / "a.txt").write_text("a")
    refused(tmp_path / "a.txt", "give one of .safetensors, .npz, .pth")


def test_a_file_of_pytorch_without_torch(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    (tmp_path / "a.pth").write_bytes(b"anything")
    refused(tmp_path / "a.pth", "torch is not installed; install it with")


def test_a_file_of_pytorch(tmp_path):
    torch = pytest.importorskip("torch", reason="torch is not installed")
    path = tmp_path / "a.pth"
    torch.save({name: torch.from_numpy(array) for name, array in TENSORS.items()}, path)
    assert_equal(checkpoints.read(path))
    torch.save({"model": {}, "run": print}, path)
    refused(path, "cannot be opened as tensors alone")
    torch.save({"model": {}}, path)
    refused(path, "holds more than tensors by name")
    path.write_bytes(path.read_bytes()[:-50])
    refused(path, "cannot be opened as tensors alone")
