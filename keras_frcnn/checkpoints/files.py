"""Files of named tensors as NumPy arrays; none of them is ever run as code."""

import json
import math
import zipfile
import zlib
from pathlib import Path

import ml_dtypes
import numpy as np

SAFETENSORS_DTYPES = {
    "F64": np.dtype("float64"),
    "F32": np.dtype("float32"),
    "F16": np.dtype("float16"),
    "BF16": np.dtype(ml_dtypes.bfloat16),
    "I64": np.dtype("int64"),
    "I32": np.dtype("int32"),
    "I16": np.dtype("int16"),
    "I8": np.dtype("int8"),
    "U8": np.dtype("uint8"),
    "BOOL": np.dtype("bool"),
}
SUFFIXES = (".safetensors", ".npz", ".pth", ".pt")


def read(source):
    """Tensors by name.

    Args:
        source: a `.safetensors` or `.npz` file; a `.pth` or `.pt` file of PyTorch, where torch is installed;
            or a dict from names to arrays.

    Returns:
        dict from str to NumPy array.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is of another kind, cut off or damaged, holds anything but tensors by name, or needs
            torch, which is not installed.
    """
    if isinstance(source, dict):
        return {str(name): np.asarray(array) for name, array in source.items()}
    path = Path(source)
    if not path.is_file():
        raise FileNotFoundError(
            f"There is no weights file {path}; give the path of a file that ends in {', '.join(SUFFIXES)}."
        )
    if path.suffix == ".safetensors":
        return _safetensors(path)
    if path.suffix == ".npz":
        return _npz(path)
    if path.suffix in (".pth", ".pt"):
        return _pth(path)
    raise ValueError(f"{path} is no file of tensors that is known; give one of {', '.join(SUFFIXES)}.")


def _safetensors(path):
    """The format of github.com/huggingface/safetensors: the length of a JSON header in 8 bytes, the header,
    and the numbers."""
    contents = path.read_bytes()
    start = 8 + int.from_bytes(contents[:8], "little")
    if len(contents) < max(start, 8):
        raise ValueError(f"{path} is cut off within its header; fetch the file again.")
    try:
        header = json.loads(contents[8:start])
        header.pop("__metadata__", None)
        entries = [
            (name, SAFETENSORS_DTYPES[entry["dtype"]], tuple(entry["shape"]), *entry["data_offsets"])
            for name, entry in header.items()
        ]
    except (ValueError, KeyError, TypeError, AttributeError):
        raise ValueError(
            f"{path} has a header that is none of a .safetensors file; fetch it again."
        ) from None
    tensors = {}
    for name, dtype, shape, begin, end in sorted(entries, key=lambda entry: entry[3]):
        count = math.prod(shape)
        if end - begin != count * dtype.itemsize or begin < 0:
            raise ValueError(f"{path} is damaged at tensor {name}; fetch the file again.")
        if start + end > len(contents):
            raise ValueError(f"{path} is cut off at tensor {name}; fetch the file again.")
        tensors[name] = np.frombuffer(contents, dtype, count, start + begin).reshape(shape)
    return tensors


def _npz(path):
    if not zipfile.is_zipfile(path):
        name = _last_member(path)
        raise ValueError(
            f"{path} is cut off at tensor {name}; fetch the file again."
            if name
            else f"{path} is no .npz file; write one with numpy.savez."
        )
    with np.load(path, allow_pickle=False) as file:
        return {name: _member(file, name, path) for name in file.files}


def _member(file, name, path):
    try:
        return file[name]
    except (zipfile.BadZipFile, zlib.error, EOFError, ValueError):
        raise ValueError(f"{path} is damaged at tensor {name}, or holds no array there.") from None


def _last_member(path):
    """The last array that a .npz file begins, "" if none; its table of contents, at the end, is lost."""
    contents = path.read_bytes()
    start = contents.rfind(b"PK\x03\x04")
    if start < 0:
        return ""
    length = int.from_bytes(contents[start + 26 : start + 28], "little")
    return contents[start + 30 : start + 30 + length].decode(errors="replace").removesuffix(".npy")


def require_torch(what):
    """The module torch, an extra that only files of PyTorch need.

    Args:
        what: the file, for the message.

    Raises:
        ValueError: torch is not installed.
    """
    try:
        import torch
    except ImportError:
        raise ValueError(
            f"{what} is a file of PyTorch, and torch is not installed; install it with `pip install "
            "keras_frcnn[torch]`, or write the tensors to a .safetensors or .npz file where it is."
        ) from None
    return torch


def _pth(path):
    torch = require_torch(path)
    try:
        # Without `weights_only` a file could run any code.
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises whatever its zip, tar or pickle reader raised
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
        raise ValueError(
            f"{path} cannot be opened as tensors alone ({reason}); fetch it again, or save a state dict."
        ) from None
    if not isinstance(state, dict) or not all(torch.is_tensor(value) for value in state.values()):
        raise ValueError(f"{path} holds more than tensors by name; save the model's `state_dict()` alone.")
    return {name: _numpy(value, torch) for name, value in state.items()}


def _numpy(tensor, torch):
    # NumPy has no bfloat16 of its own, and float32 holds every one of its values.
    tensor = tensor.detach()
    return (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy()
