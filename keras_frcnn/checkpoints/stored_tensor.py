"""Where the numbers of a tensor lie in a file of PyTorch."""

import dataclasses
import math

import ml_dtypes
import numpy as np

DTYPES = {
    "torch.float64": np.dtype("float64"),
    "torch.float32": np.dtype("float32"),
    "torch.float16": np.dtype("float16"),
    "torch.bfloat16": np.dtype(ml_dtypes.bfloat16),
    "torch.int64": np.dtype("int64"),
    "torch.int32": np.dtype("int32"),
    "torch.int16": np.dtype("int16"),
    "torch.int8": np.dtype("int8"),
    "torch.uint64": np.dtype("uint64"),
    "torch.uint32": np.dtype("uint32"),
    "torch.uint16": np.dtype("uint16"),
    "torch.uint8": np.dtype("uint8"),
    "torch.bool": np.dtype("bool"),
}
UNTYPED = np.dtype("V1")
STORAGES = {
    "torch.DoubleStorage": DTYPES["torch.float64"],
    "torch.FloatStorage": DTYPES["torch.float32"],
    "torch.HalfStorage": DTYPES["torch.float16"],
    "torch.BFloat16Storage": DTYPES["torch.bfloat16"],
    "torch.LongStorage": DTYPES["torch.int64"],
    "torch.IntStorage": DTYPES["torch.int32"],
    "torch.ShortStorage": DTYPES["torch.int16"],
    "torch.CharStorage": DTYPES["torch.int8"],
    "torch.ByteStorage": DTYPES["torch.uint8"],
    "torch.BoolStorage": DTYPES["torch.bool"],
    "torch.storage.UntypedStorage": UNTYPED,
}
MOST_AXES = 32


def is_number(value) -> bool:
    """Whether a value is an int that counts something, and no longer than PyTorch's own."""
    return type(value) is int and 0 <= value < 2**63


@dataclasses.dataclass(frozen=True)
class Storage:
    """A row of numbers, in which several tensors may lie.

    Args:
        key: its name in the file.
        dtype: `np.dtype` of the numbers; `UNTYPED` for plain bytes.
        count: how many there are.
    """

    key: str
    dtype: np.dtype
    count: int

    @property
    def nbytes(self):
        """Bytes that it takes."""
        return self.count * self.dtype.itemsize


@dataclasses.dataclass(frozen=True)
class StoredTensor:
    """A tensor by its place in a storage.

    Args:
        storage: `Storage`.
        dtype: `np.dtype` of the numbers.
        offset: place of its first number in the storage, counted in numbers, as are the strides.
        shape, strides: tuples of int, by axis.

    Raises:
        ValueError: a number of the tensor would lie outside the storage.
    """

    storage: Storage
    dtype: np.dtype
    offset: int
    shape: tuple
    strides: tuple

    def __post_init__(self):
        numbers = (self.offset, *self.shape, *self.strides)
        axes = len(self.shape)
        if axes != len(self.strides) or axes > MOST_AXES or not all(map(is_number, numbers)):
            raise ValueError("no tensor")
        last = self.offset + sum((n - 1) * step for n, step in zip(self.shape, self.strides))
        if 0 not in self.shape and (last + 1) * self.dtype.itemsize > self.storage.nbytes:
            raise ValueError("beyond its storage")

    def array(self, contents, limit, big_endian=False) -> np.ndarray:
        """The tensor as an array; it shares memory with the contents, unless their bytes must be swapped.

        Args:
            contents: bytes of the storage.
            limit: the most numbers that the tensor may have; strides of 0 repeat numbers without end.
            big_endian: whether the highest byte of a number comes first.

        Raises:
            ValueError: the contents have another length than the storage, or the tensor is above the limit.
        """
        if len(contents) != self.storage.nbytes or math.prod(max(side, 1) for side in self.shape) > limit:
            raise ValueError("another size")
        size = self.dtype.itemsize
        flat = np.frombuffer(contents, f"{'>' if big_endian else '<'}u{size}", len(contents) // size)
        flat = flat.astype(f"u{size}", copy=False).view(self.dtype)
        if 0 in self.shape:
            return np.empty(self.shape, self.dtype)
        strides = [step * size for step in self.strides]
        return np.lib.stride_tricks.as_strided(flat[self.offset :], self.shape, strides, writeable=False)
