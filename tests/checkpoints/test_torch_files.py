"""Files of PyTorch, read without it: both forms, every kind of tensor, and what is refused.

The files in `stored/torch_files` are PyTorch's own, with what it reads from them (`make_torch_files.py`).
"""

import io
import pathlib
import pickle
import random
import subprocess
import sys
import tracemalloc
import zipfile

import numpy as np
import pytest

from keras_frcnn import checkpoints
from keras_frcnn.checkpoints.torch_pickle import load

FOLDER = pathlib.Path(__file__).parents[1] / "stored/torch_files"
NAMES = sorted(path.stem for path in FOLDER.glob("*.pth"))
# Sides, strides and other wholes that no tensor has.
WRONG = (-1, 2**62, 2**70, True, 1.0, "1", None)


def read(path):
    if path.stem.startswith("checkpoint"):
        with (
            pytest.warns(UserWarning, match="its entry 'model' is taken"),
            pytest.warns(UserWarning, match="are taken without 'module.'"),
        ):
            return checkpoints.read(path)
    return checkpoints.read(path)


def assert_same(found, expected):
    assert [*found] == [*expected]
    for name, array in expected.items():
        mine = found[name]
        if mine.dtype != array.dtype:
            assert (str(mine.dtype), array.dtype) == ("bfloat16", np.float32)
        assert mine.shape == array.shape, name
        np.testing.assert_array_equal(mine.astype(array.dtype), array, err_msg=name)


def refused(path, match):
    with pytest.raises(ValueError, match=match) as error:
        checkpoints.read(path)
    assert str(path) in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("name", NAMES)
def test_the_same_as_pytorch_reads(name):
    assert_same(read(FOLDER / f"{name}.pth"), dict(np.load(FOLDER / f"{name}.npz")))


def test_there_are_files():
    assert len(NAMES) == 9


def test_tensors_of_one_storage_share_memory():
    for name in ("tensors", "tensors_older"):
        found = checkpoints.read(FOLDER / f"{name}.pth")
        assert np.shares_memory(found["first_rows"], found["turned"])
        assert not any(array.flags.writeable for array in found.values() if array.size)


def test_beside_pytorch(tmp_path):
    torch = pytest.importorskip("torch", reason="torch is not installed")
    for number in range(20):
        rng = np.random.default_rng(number)
        state = {}
        for index in range(rng.integers(1, 6)):
            base = torch.from_numpy(rng.normal(size=rng.integers(1, 6, rng.integers(1, 5))))
            base = base.to([torch.float32, torch.float16, torch.int64, torch.bfloat16][rng.integers(4)])
            state[f"layer{index}.base"] = base
            state[f"layer{index}.view"] = base.permute(*rng.permutation(base.ndim).tolist())[..., ::2]
        torch.save(state, tmp_path / "a.pth", _use_new_zipfile_serialization=bool(number % 2))
        theirs = torch.load(tmp_path / "a.pth", weights_only=True)
        expected = {
            name: (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy()
            for name, tensor in theirs.items()
        }
        assert_same(checkpoints.read(tmp_path / "a.pth"), expected)


class Call:
    """An object that a pickle makes by calling a function."""

    def __init__(self, name, *arguments):
        self.name, self.arguments = name, arguments


class Writer(pickle._Pickler):
    """Pickles like PyTorch's, of whatever a test wants to call."""

    def save(self, obj, save_persistent_id=True):
        if not isinstance(obj, Call):
            return super().save(obj, save_persistent_id)
        module, _, name = obj.name.rpartition(".")
        self.write(pickle.GLOBAL + f"{module}\n{name}\n".encode())
        if obj.arguments != ("alone",):
            super().save(obj.arguments)
            self.write(pickle.REDUCE)

    def persistent_id(self, obj):
        return obj.fields if isinstance(obj, Stored) else None


class Stored:
    """A storage, by the fields with which a pickle names it."""

    def __init__(self, count=6, key="0", kind="torch.FloatStorage"):
        self.fields = ("storage", Call(kind, "alone"), key, "cpu", count)


def written(path, tree, contents=bytes(24)):
    """A file of the newer form with this in its pickle, and one storage."""
    stream = io.BytesIO()
    Writer(stream, 2).dump(tree)
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("a/data.pkl", stream.getvalue())
        file.writestr("a/data/0", contents)
    return path


def tensor(offset=0, shape=(2, 3), strides=(3, 1), storage=None):
    return Call("torch._utils._rebuild_tensor_v2", storage or Stored(), offset, shape, strides, False, {})


def test_the_writer_writes_what_is_read(tmp_path):
    numbers = np.arange(6, dtype="<f4")
    found = checkpoints.read(written(tmp_path / "a.pth", {"a": tensor()}, numbers.tobytes()))
    np.testing.assert_array_equal(found["a"], numbers.reshape(2, 3))


@pytest.mark.parametrize(
    "one",
    [
        tensor(offset=1),
        tensor(strides=(4, 1)),
        tensor(strides=(2**62, 1)),
        tensor(shape=(2, 3, 1)),
        tensor(shape=(1,) * 33, strides=(1,) * 33),
        tensor(shape=(2**40,), strides=(0,)),
        tensor(shape=(0, 2**62)),
        tensor(storage=Stored(7)),
        tensor(storage=Stored(2**62)),
        tensor(storage=Stored(-6), shape=(0,), strides=(1,)),
        tensor(storage=Stored(key="1")),
        tensor(storage=Stored(key="../data.pkl")),
        tensor(storage=Stored(24, kind="torch.storage.UntypedStorage")),
        *(tensor(offset=wrong) for wrong in WRONG),
        *(tensor(shape=(wrong, 3)) for wrong in WRONG),
        *(tensor(strides=(wrong, 1)) for wrong in WRONG),
    ],
)
def test_a_tensor_that_does_not_lie_in_its_storage(one, tmp_path):
    refused(written(tmp_path / "a.pth", {"a": one}), "is damaged or cut off; fetch the file again")


@pytest.mark.parametrize(
    "name", ["os.system", "builtins.eval", "argparse.Namespace", "torch._utils._rebuild_qtensor"]
)
def test_nothing_else_is_called(name, tmp_path):
    for tree in (Call(name, "touch called"), {"a": tensor(), "b": Call(name, "touch called")}):
        refused(
            written(tmp_path / "a.pth", tree), f"holds {name}, which is more than tensors by name; save the"
        )


@pytest.mark.parametrize(
    "tree",
    [
        {"a": 3},
        {"a": tensor(), "epoch": 3},
        [tensor()],
        tensor(),
        "text",
        {},
        {"model": {}},
        {"a": {"b": tensor()}},
    ],
)
def test_other_contents(tree, tmp_path):
    refused(
        written(tmp_path / "a.pth", tree), "holds more than tensors by name; save the model's `state_dict"
    )


# A whole number of five million digits.
LONG = b"\x8b" + (2**21).to_bytes(4, "little") + b"\x01" * 2**21


def nested(depth, operation):
    return b"\x80\x02" + b")" + operation * depth


@pytest.mark.parametrize(
    "pickled",
    [
        b"}" + nested(200_000, b"\x85") + b"K\x01s.",  # a key that takes forever, or the whole stack, to hash
        b"}" + nested(60, b"2\x86") + b"K\x01s.",
        b"\x80\x02}r\xff\xff\xff\xff.",  # a place in a list of notes, which would be as long
        b"\x80\x02X\xff\xff\xff\x7fa.",  # a text longer than the file
        b"\x80\x02(((((((.",
        b"\x80\x02}}}.",
        b"\x80\x02c__main__\nNoSuch\n\x81.",
        b"\x80\x02}q\x00(h\x00h\x00u.",
        b"\x80\x02}" + LONG + b"q\x00K\x00s" + b"h\x00K\x00s" * 100_000 + b".",  # minutes to hash
        b"\x80\x02}X\x00\x04\x00\x00" + b"a" * 1024 + b"K\x01s.",
    ],
)
def test_pickles_that_abuse_a_reader(pickled, tmp_path):
    with zipfile.ZipFile(tmp_path / "a.pth", "w") as file:
        file.writestr("a/data.pkl", pickled)
    refused(tmp_path / "a.pth", "is damaged or cut off|more than tensors by name")


def test_a_dict_that_holds_itself(tmp_path):
    tree = {}
    tree["model"] = tree
    with pytest.warns(UserWarning, match="its entry 'model' is taken"):
        refused(written(tmp_path / "a.pth", tree), "holds more than tensors by name")


def test_a_pickle_that_is_too_long(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.pth", "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("a/data.pkl", b"N" * 2**25)
    refused(tmp_path / "a.pth", "holds more than 16 MB of other objects")


def test_an_archive_that_grows(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.pth", "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("a/data.pkl", b"}.")
        file.writestr("a/data/0", bytes(2**27))
    refused(tmp_path / "a.pth", "holds 128 MB in a compressed form")


def test_an_archive_that_understates_what_it_grows_to(tmp_path):
    """64 MB that are declared as 24 bytes are not decompressed."""
    stream = io.BytesIO()
    Writer(stream, 2).dump({"a": tensor()})
    with zipfile.ZipFile(tmp_path / "a.pth", "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("a/data.pkl", stream.getvalue())
        file.writestr("a/data/0", bytes(2**26))
        file.getinfo("a/data/0").file_size = 24  # for the table of contents
    tracemalloc.start()
    refused(tmp_path / "a.pth", "is damaged or cut off")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2**23


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_another_compression(method, tmp_path):
    with zipfile.ZipFile(tmp_path / "a.pth", "w", method) as file:
        file.writestr("a/data.pkl", b"}.")
    refused(tmp_path / "a.pth", f"holds a form of compression .method {method} of zip.")


@pytest.mark.parametrize("error", [PermissionError(13, "Permission denied"), MemoryError()])
def test_what_is_no_damage(error, tmp_path, monkeypatch):
    def fail(*_):
        raise error

    monkeypatch.setattr("keras_frcnn.checkpoints.torch_file.load", fail)
    with pytest.raises(type(error)):
        checkpoints.read(written(tmp_path / "a.pth", {"a": tensor()}))


def test_warnings_point_to_the_caller():
    with pytest.warns(UserWarning) as warned:
        checkpoints.read(FOLDER / "checkpoint.pth")
        checkpoints.read({"model": {"module.a": np.zeros(1)}})
    assert [one.filename for one in warned] == [__file__] * 4


def test_the_other_order_of_bytes(tmp_path):
    numbers = np.array([1.5, -2.0, 3.0, 0.0, 7.0, 8.0])
    path = written(tmp_path / "a.pth", {"a": tensor()}, numbers.astype(">f4").tobytes())
    with zipfile.ZipFile(path, "a") as file:
        file.writestr("a/byteorder", "big")
    np.testing.assert_array_equal(checkpoints.read(path)["a"], numbers.reshape(2, 3))


def test_the_other_order_of_bytes_in_the_older_form(tmp_path):
    whole = (FOLDER / "network_older.pth").read_bytes()
    stream = io.BytesIO(whole)
    (_, _, _, (_, storages), (keys, _)) = [load(stream) for _ in range(5)]
    begin, swapped = stream.tell(), b""
    for key in keys:
        size, end = storages[key].dtype.itemsize, begin + 8 + storages[key].nbytes
        swapped += (
            whole[begin : begin + 8][::-1]
            + np.frombuffer(whole[begin + 8 : end], f"u{size}").byteswap().tobytes()
        )
        begin = end
    order = whole.index(b"little_endian")
    head = whole[:order] + whole[order : stream.tell()].replace(b"\x88", b"\x89", 1)  # True to False
    (tmp_path / "a.pth").write_bytes(head + swapped)
    assert_same(checkpoints.read(tmp_path / "a.pth"), dict(np.load(FOLDER / "network_older.npz")))


def test_the_tar_form(tmp_path):
    (tmp_path / "a.pth").write_bytes(bytes(257) + b"ustar" + bytes(1000))
    refused(tmp_path / "a.pth", "holds tensors in the tar form of PyTorch's first releases")


@pytest.mark.parametrize("name", ["network", "network_older", "compressed"])
def test_cut_off_anywhere(name, tmp_path):
    whole = (FOLDER / f"{name}.pth").read_bytes()
    path = tmp_path / "a.pth"
    for length in range(0, len(whole) - 1, len(whole) // 40):
        path.write_bytes(whole[:length])
        refused(path, "is damaged or cut off; fetch the file again")


@pytest.mark.parametrize("name", ["network", "network_older", "tensors", "tensors_older", "compressed"])
def test_changed_bytes(name, tmp_path):
    """Each of 300 changes gives the right numbers or one sentence; the older form has no checksums."""
    whole, path = (FOLDER / f"{name}.pth").read_bytes(), tmp_path / "a.pth"
    expected, choose, said = dict(np.load(FOLDER / f"{name}.npz")), random.Random(name), set()
    for _ in range(300):
        changed = bytearray(whole)
        for _ in range(choose.choice([1, 1, 2, 8])):
            changed[choose.randrange(len(changed))] = choose.randrange(256)
        path.write_bytes(changed)
        try:
            found = checkpoints.read(path)
        except ValueError as error:
            assert str(path) in str(error) and "\n" not in str(error)
            said.add("damaged" in str(error))
            continue
        if not name.endswith("older"):
            assert_same(found, expected)
    assert True in said


def test_memory_stays_near_the_size_of_the_file(tmp_path):
    """A fresh process reads 64 MB; the highest memory is at most twice that above the one before."""
    numbers = np.random.default_rng(0).random(2**24, np.float32)
    path = tmp_path / "a.pth"
    written(path, {"a": tensor(0, (2**24,), (1,), Stored(2**24))}, numbers.tobytes())
    program = (
        "import resource, sys; from keras_frcnn import checkpoints; peak = lambda: "
        "resource.getrusage(resource.RUSAGE_SELF).ru_maxrss; before = peak(); "
        "found = checkpoints.read(sys.argv[1]); print(peak() - before, float(found['a'][-1]))"
    )
    out = subprocess.run(
        [sys.executable, "-c", program, str(path)], capture_output=True, text=True, check=True
    )
    grown, last = out.stdout.split()
    assert float(last) == numbers[-1] and int(grown) < 2 * 2**16
