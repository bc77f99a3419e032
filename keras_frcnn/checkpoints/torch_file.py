"""Read the tensors of a `.pth` file without PyTorch: both of its forms, and nothing but tensors.

The newer form is a zip archive: a pickle, and a file of numbers for each storage. The older one is five
pickles in a row, and then the numbers. PyTorch's `torch/serialization.py` writes and reads both.
"""

import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from keras_frcnn.checkpoints.torch_pickle import LONGEST, Foreign, load

# Beginning of the older form.
MAGIC, PROTOCOL = 0x1950A86A20F9469CFC6C, 1001
# A compressed archive may grow to so many times its size, and in any case to so many bytes.
GROWTH, ALWAYS = 16, 2**26
REMEDY = "save the model's `state_dict()` alone"


class _Opened(NamedTuple):
    """What the pickle of a file holds, and where its numbers are."""

    tree: Any
    contents: Callable  # from a `Storage` to its bytes
    size: int  # of all numbers, bytes
    big_endian: bool


def read(path: Path, select: Callable[[Any], dict]) -> dict[str, np.ndarray]:
    """Read tensors of a file.

    Args:
        path: the file.
        select: function from what the file holds, where each tensor is a `StoredTensor`, to a dict of those
            that are wanted, by name. Only their numbers are read.

    Returns:
        dict from name to array, read-only; tensors of one storage share memory.

    Raises:
        MemoryError: its numbers do not fit into memory.
        PermissionError: the file may not be read.
        ValueError: the file is damaged, cut off, or holds more than tensors.
    """
    opened = _attempt(path, _open)
    wanted = select(opened.tree)
    return _attempt(path, lambda _: _arrays(opened, wanted))


def _attempt(path, step):
    try:
        return step(path)
    except Foreign as error:
        raise ValueError(f"{path} holds {error}, which is more than tensors by name; {REMEDY}.") from None
    except (MemoryError, PermissionError):  # the file is not to blame
        raise
    except Exception:  # zipfile, zlib, pickletools and damaged values raise many types of exceptions
        raise ValueError(f"{path} is damaged or cut off; fetch the file again.") from None


def _open(path):
    return _open_zip(path) if zipfile.is_zipfile(path) else _open_older(path)


def _arrays(opened, wanted):
    known, arrays = {}, {}
    for name, tensor in wanted.items():
        key = tensor.storage.key
        if key not in known:
            known[key] = opened.contents(tensor.storage)
        arrays[name] = tensor.array(known[key], opened.size, opened.big_endian)
    return arrays


def _open_zip(path):
    archive = zipfile.ZipFile(path)
    members = {info.filename: info for info in archive.infolist()}
    size = sum(info.file_size for info in members.values())
    if size > max(GROWTH * path.stat().st_size, ALWAYS):
        raise Foreign(f"{size >> 20} MB in a compressed form")
    for info in members.values():
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise Foreign(f"a form of compression (method {info.compress_type} of zip)")
    (pickled,) = [name for name in members if name.rpartition("/")[2] == "data.pkl"]
    folder = pickled.removesuffix("data.pkl")
    if members[pickled].file_size > LONGEST:
        raise Foreign(f"more than {LONGEST >> 20} MB of other objects")

    def member(name):
        info = members[folder + name]
        if not info.CRC:  # PyTorch can leave checksums out; without the attribute none is compared
            del info.CRC
        with archive.open(info) as file:
            return file.read(info.file_size)  # what is decompressed may be longer than it says

    order = member("byteorder") if f"{folder}byteorder" in members else b"little"
    if order not in (b"little", b"big"):
        raise ValueError("unknown order of bytes")
    tree, _ = load(io.BytesIO(member("data.pkl")))
    return _Opened(tree, lambda storage: member(f"data/{storage.key}"), size, order == b"big")


def _open_older(path):
    contents = path.read_bytes()
    if contents[257:262] == b"ustar":
        raise Foreign("tensors in the tar form of PyTorch's first releases")
    stream = io.BytesIO(contents)
    if [load(stream)[0], load(stream)[0]] != [MAGIC, PROTOCOL]:
        raise ValueError("another beginning")
    system, _ = load(stream)
    tree, storages = load(stream)
    keys, _ = load(stream)
    begin, places = stream.tell(), {}
    for key in keys:
        storage = storages[key]
        if int.from_bytes(contents[begin : begin + 8], "little" if system["little_endian"] else "big") != (
            storage.count
        ):
            raise ValueError("another number of elements")
        places[key] = begin + 8
        begin += 8 + storage.nbytes
    if begin > len(contents):
        raise ValueError("cut off")

    def numbers(storage):
        return memoryview(contents)[places[storage.key] :][: storage.nbytes]

    return _Opened(tree, numbers, len(contents), not system["little_endian"])
