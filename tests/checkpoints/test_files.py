"""Files of tensors: what is read, and what is said of those that are not whole."""

import json
import re
import zipfile

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


@pytest.mark.parametrize(
    "entry, part",
    [
        ({"dtype": "F8_E4M3"}, "Tensor a of .* is of dtype F8_E4M3, which is none of F64"),
        ({"data_offsets": [0, 4]}, "damaged at tensor a"),
        ({"data_offsets": [8, 0]}, "damaged at tensor a"),
        ({"data_offsets": [0]}, "has a header that is none"),
        ({"data_offsets": ["0", "8"]}, "has a header that is none"),
        ({"data_offsets": None}, "has a header that is none"),
        ({"shape": [-1, -2]}, "has a header that is none"),
        ({"shape": [2.0]}, "has a header that is none"),
        ({"more": 1}, "has a header that is none"),
    ],
)
def test_a_safetensors_file_with_a_damaged_entry(tmp_path, entry, part):
    header = json.dumps({"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8], **entry}}).encode()
    path = tmp_path / "a.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header + bytes(8))
    refused(path, part)


def test_a_safetensors_file_that_names_a_tensor_twice(tmp_path):
    entry = '"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}'
    header = f"{{{entry}, {entry}}}".encode()
    path = tmp_path / "a.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header + bytes(8))
    refused(path, "has a header that is none")


def test_an_npz_file_that_is_cut_off(npz):
    whole = npz.read_bytes()
    npz.write_bytes(whole[:-100])
    refused(npz, r"cut off at tensor second\.count")
    npz.write_bytes(b"no zip")
    refused(npz, "is no .npz file")


def test_an_npz_file_with_damage_inside(npz):
    whole = npz.read_bytes()
    contents = whole.index(b"PK\x01\x02")
    npz.write_bytes(whole[:contents] + b"PK\x09\x09" + whole[contents + 4 :])
    refused(npz, "has a damaged table of contents")
    npz.write_bytes(whole[:150] + whole[170:])
    refused(npz, r"damaged at tensor \w+\.\w+|damaged table of contents")
    for place in range(0, len(whole), 7):
        npz.write_bytes(whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :])
        try:
            checkpoints.read(npz)
        except ValueError as error:
            assert str(npz) in str(error)


def test_what_is_no_array_in_an_npz_file(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, **{"first.weight": np.array([print], object)})  # code, which is not run
    refused(path, "tensor first.weight, or holds no array there")
    np.savez(path, **TENSORS)
    with zipfile.ZipFile(path, "a") as file:
        file.writestr("read.me", "no array")
    refused(path, "tensor read.me, or holds no array there")
    np.savez(path, **{"first.weight": np.array(["a", "b"])})
    refused(path, "Tensor first.weight of .* is no dense array of real numbers")


@pytest.mark.parametrize("value", [[[1.0], [2.0, 3.0]], "text", np.zeros(2, np.complex64), None])
def test_what_is_no_array_in_a_dict(value):
    with pytest.raises(ValueError, match="^Tensor a of the state dict is no dense array of real numbers"):
        checkpoints.read({"a": value})


def test_files_that_are_none(tmp_path):
    with pytest.raises(FileNotFoundError, match="There is no weights file"):
        checkpoints.read(tmp_path / "a.npz")
    (tmp_path / "a.txt").write_text("a")
    refused(tmp_path / "a.txt", "give one of .safetensors, .npz, .pth")


@pytest.fixture
def torch():
    return pytest.importorskip("torch", reason="torch is not installed")


def test_a_dict_of_pytorchs_tensors(torch):
    tensors = {"a": torch.nn.Parameter(torch.ones(2)), "b": torch.ones(2, dtype=torch.bfloat16)}
    ones = np.ones(2, np.float32)
    assert_equal(checkpoints.read(tensors), {"a": ones, "b": ones})


@pytest.mark.parametrize("key", ["model", "state_dict"])
def test_what_a_training_program_puts_around_the_tensors(key):
    state = {key: {f"module.{name}": array for name, array in TENSORS.items()}, "epoch": 3}
    with (
        pytest.warns(UserWarning, match=f"is a checkpoint of training; its entry '{key}' is taken"),
        pytest.warns(UserWarning, match="The names in the state dict are taken without 'module.'"),
    ):
        assert_equal(checkpoints.read(state))
