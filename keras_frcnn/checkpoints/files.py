"""Read files of named tensors as NumPy arrays, without ever running code from them."""

import json
import math
import warnings
import zipfile
from pathlib import Path

import ml_dtypes
import numpy as np

from keras_frcnn.checkpoints import torch_file
from keras_frcnn.checkpoints.stored_tensor import StoredTensor

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
# Entries under which training programs keep the tensors, and what DataParallel puts before their names.
WRAPPERS = ("model", "state_dict", "model_state_dict", "model_state")
PREFIX = "module."
SUFFIXES = (".safetensors", ".npz", ".pth", ".pt")


def read(source):
    """Read tensors by name.

    Args:
        source: a `.safetensors`, `.npz`, `.pth` or `.pt` file, or a dict from names to arrays.

    Returns:
        dict from str to NumPy array.

    Raises:
        FileNotFoundError: there is no such file.
        PermissionError: the file may not be read.
        ValueError: the file is of another kind, cut off or damaged, or holds more than tensors by name.
    """
    if isinstance(source, dict):
        return _arrays(_unwrapped(source, "the state dict"), "the state dict")
    path = Path(source)
    if not path.is_file():
        raise FileNotFoundError(
            f"There is no weights file {path}; give the path of a file that ends in {', '.join(SUFFIXES)}."
        )
    if path.suffix == ".safetensors":
        return _unwrapped(_safetensors(path), path)
    if path.suffix == ".npz":
        return _arrays(_unwrapped(_npz(path), path), path)
    if path.suffix in (".pth", ".pt"):
        return _pth(path)
    raise ValueError(f"{path} is no file of tensors that is known; give one of {', '.join(SUFFIXES)}.")


def _safetensors(path):
    """Format of github.com/huggingface/safetensors: header length in 8 bytes, JSON header, numbers."""
    contents = path.read_bytes()
    start = 8 + int.from_bytes(contents[:8], "little")
    if len(contents) < max(start, 8):
        raise ValueError(f"{path} is cut off within its header; fetch the file again.")
    try:
        header = json.loads(contents[8:start], object_pairs_hook=_without_repeats)
        header.pop("__metadata__", None)
        entries = [_entry(name, **entry) for name, entry in header.items()]
    except (ValueError, TypeError, AttributeError, RecursionError):
        raise ValueError(
            f"{path} has a header that is none of a .safetensors file; fetch it again."
        ) from None
    tensors = {}
    for name, dtype, shape, begin, end in sorted(entries, key=lambda entry: entry[3]):
        if dtype not in SAFETENSORS_DTYPES:
            raise ValueError(
                f"Tensor {name} of {path} is of dtype {dtype}, which is none of "
                f"{', '.join(SAFETENSORS_DTYPES)}; save it as F32."
            )
        dtype, count = SAFETENSORS_DTYPES[dtype], math.prod(shape)
        if end - begin != count * dtype.itemsize:
            raise ValueError(f"{path} is damaged at tensor {name}; fetch the file again.")
        if start + end > len(contents):
            raise ValueError(f"{path} is cut off at tensor {name}; fetch the file again.")
        tensors[name] = np.frombuffer(contents, dtype, count, start + begin).reshape(shape)
    return tensors


def _entry(name, dtype, shape, data_offsets):
    """Check the header entry of a tensor; return its name, dtype, shape, start and end."""
    begin, end = data_offsets
    if not all(type(number) is int and number >= 0 for number in (*shape, begin, end)):
        raise ValueError
    return name, str(dtype), tuple(shape), begin, end


def _without_repeats(pairs):
    """Return a JSON object as a dict; raise on a repeated name, where `json` would drop the first value."""
    if len(dict(pairs)) < len(pairs):
        raise ValueError
    return dict(pairs)


def _npz(path):
    if not zipfile.is_zipfile(path):
        name = _last_member(path)
        raise ValueError(
            f"{path} is cut off at tensor {name}; fetch the file again."
            if name
            else f"{path} is no .npz file; write one with numpy.savez."
        )
    try:
        file = np.load(path, allow_pickle=False)
    except Exception:  # zipfile raises many types of exceptions
        raise ValueError(f"{path} has a damaged table of contents; fetch the file again.") from None
    with file:
        return {name: _member(file, name, path) for name in file.files}


def _member(file, name, path):
    try:
        array = file[name]
    except Exception:  # zipfile, zlib and NumPy raise many types of exceptions
        array = None
    # NumPy returns a member that is not an array as bytes.
    if not isinstance(array, np.ndarray):
        raise ValueError(
            f"{path} is damaged at tensor {name}, or holds no array there; fetch the file again."
        )
    return array


def _last_member(path):
    """Name of the last array in a cut-off .npz file, which has lost its table of contents; "" if none."""
    contents = path.read_bytes()
    start = contents.rfind(b"PK\x03\x04")
    if start < 0:
        return ""
    length = int.from_bytes(contents[start + 26 : start + 28], "little")
    return contents[start + 30 : start + 30 + length].decode(errors="replace").removesuffix(".npy")


def _pth(path):
    def tensors(tree):
        state = _unwrapped(tree, path, depth=6) if isinstance(tree, dict) else {}
        if not state or not all(isinstance(value, StoredTensor) for value in state.values()):
            raise ValueError(f"{path} holds more than tensors by name; {torch_file.REMEDY}.")
        return {str(name): tensor for name, tensor in state.items()}

    return torch_file.read(path, tensors)


def _unwrapped(state, origin, depth=3):
    """The tensors of a checkpoint that holds more, under their names without a wrapper's prefix.

    `depth` counts the calls up to the caller of `read`, to which the warnings point.
    """
    for key in WRAPPERS:
        if isinstance(state.get(key), dict):
            text = f"{origin} is a checkpoint of training; its entry {key!r} is taken."
            warnings.warn(text, stacklevel=depth)
            state = state[key]
            break
    if state and all(str(name).startswith(PREFIX) for name in state):
        warnings.warn(f"The names in {origin} are taken without {PREFIX!r}.", stacklevel=depth)
        state = {str(name).removeprefix(PREFIX): tensor for name, tensor in state.items()}
    return state


def _arrays(state, origin):
    """Convert tensors of NumPy, PyTorch or another library to arrays, by name."""
    return {str(name): _array(name, tensor, origin) for name, tensor in state.items()}


def _array(name, tensor, origin):
    try:
        # A dict may hold PyTorch tensors; look for `detach` to avoid importing torch.
        array = np.asarray(_numpy(tensor) if hasattr(tensor, "detach") else tensor)
    except (TypeError, ValueError, RuntimeError):
        array = None
    if array is None or not (array.dtype.kind in "biuf" or array.dtype == ml_dtypes.bfloat16):
        raise ValueError(f"Tensor {name} of {origin} is no dense array of real numbers; save it as float32.")
    return array


def _numpy(tensor):
    # NumPy has no bfloat16 of its own; float32 holds every bfloat16 value.
    tensor = tensor.detach().cpu()
    return (tensor.float() if str(tensor.dtype) == "torch.bfloat16" else tensor).numpy()
