"""Read the pickles inside PyTorch's files; nothing that they name is imported or called.

`pickletools` splits a pickle into its operations. The few that a state dict consists of are carried out here,
on plain Python values, where a pickle's own machine would look up and call what the file asks for.
"""

import dataclasses
import pickletools
from typing import Any

from keras_frcnn.checkpoints.stored_tensor import (
    DTYPES,
    STORAGES,
    UNTYPED,
    Storage,
    StoredTensor,
    is_number,
)

# Bytes of a pickle: without the numbers, a state dict has about a hundred for each tensor.
LONGEST = 2**24
# Operations whose argument is the value.
VALUES = {
    *("BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8", "UNICODE", "BINSTRING", "SHORT_BINSTRING"),
    *("BININT", "BININT1", "BININT2", "INT", "LONG", "LONG1", "LONG4", "BINFLOAT", "FLOAT"),
}
CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": ()}
# Arguments of a call: a short pickle could pass a long list again and again.
MOST_ARGUMENTS = 10
# Bounds of a key: a short pickle could compare or hash a long one again and again.
LONGEST_NAME, LARGEST_NUMBER = 2**10, 2**63
# The parts of a tuple without a mark.
TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}


class Foreign(Exception):
    """A pickle holds something that no state dict of tensors needs; the message names it."""


@dataclasses.dataclass(frozen=True)
class _Name:
    """A class or function that a pickle names."""

    path: str


def load(stream) -> tuple[Any, dict[str, Storage]]:
    """Read one pickle from the place where a stream stands.

    Args:
        stream: `io.BytesIO`; afterwards it stands behind the pickle.

    Returns:
        What the pickle holds, of Python's plain types and `StoredTensor`, and the storages that it names.

    Raises:
        Foreign: the pickle names a class or function that no state dict needs, or is longer than `LONGEST`.
        Exception: of any type; the pickle is damaged.
    """
    reading = _Reading()
    begin = stream.tell()
    for operation, argument, place in pickletools.genops(stream):
        if place - begin > LONGEST:
            raise Foreign(f"more than {LONGEST >> 20} MB of other objects")
        if operation.name == "STOP":
            (value,) = reading.stack
            return value, reading.storages
        reading.carry_out(operation.name, argument)
    raise ValueError("no end")


class _Reading:
    """The state of a pickle that is being read: a stack above each mark, and what was noted for later."""

    def __init__(self):
        self.stack, self.below, self.noted, self.storages = [], [], {}, {}

    def carry_out(self, name, argument):
        stack = self.stack
        if name in VALUES:
            stack.append(argument)
        elif name in CONSTANTS:
            stack.append(CONSTANTS[name])
        elif name in TUPLES:
            stack[-TUPLES[name] :] = [tuple(stack[-n] for n in range(TUPLES[name], 0, -1))]
        elif name in ("BINPUT", "LONG_BINPUT", "PUT", "MEMOIZE"):
            self.noted[len(self.noted) if name == "MEMOIZE" else argument] = stack[-1]
        elif name in ("BINGET", "LONG_BINGET", "GET"):
            stack.append(self.noted[argument])
        elif name == "MARK":
            self.below.append(stack)
            self.stack = []
        elif name in ("TUPLE", "LIST", "DICT", "APPENDS", "SETITEMS"):
            self.stack = self.below.pop()
            self._gather(name, stack)
        elif name == "EMPTY_DICT":
            stack.append({})
        elif name == "EMPTY_LIST":
            stack.append([])
        elif name == "APPEND":
            _list(stack[-2]).append(stack.pop())
        elif name == "SETITEM":
            value, key = stack.pop(), stack.pop()
            _fill(stack[-1], [(key, value)])
        elif name == "GLOBAL":
            stack.append(_known(argument.replace(" ", ".", 1)))
        elif name == "STACK_GLOBAL":
            path = ".".join((stack.pop(-2), stack.pop()))
            stack.append(_known(path))
        elif name == "REDUCE":
            arguments, function = stack.pop(), stack.pop()
            if len(arguments) > MOST_ARGUMENTS:
                raise ValueError("too many arguments")
            stack.append(CALLS[function.path](*arguments))
        elif name == "BUILD":  # attributes of a dict, such as the versions of modules
            _fill(stack[-2], [])
            stack.pop()
        elif name == "BINPERSID":
            storage = _storage(*stack.pop())
            if self.storages.setdefault(storage.key, storage) != storage:
                raise ValueError("one storage of two kinds")
            stack.append(storage)
        elif name not in ("PROTO", "FRAME"):
            raise ValueError(f"operation {name}")

    def _gather(self, name, values):
        """Make one value of those above the last mark, or put them into the one below it."""
        if name == "TUPLE":
            self.stack.append(tuple(values))
        elif name == "LIST":
            self.stack.append(values)
        elif name == "DICT":
            self.stack.append(_fill({}, zip(values[::2], values[1::2], strict=True)))
        elif name == "APPENDS":
            _list(self.stack[-1]).extend(values)
        else:
            _fill(self.stack[-1], zip(values[::2], values[1::2], strict=True))


def _known(path):
    if path not in CALLS and path not in STORAGES and path not in DTYPES:
        raise Foreign(path if len(path) < 100 and path.isprintable() else "something else")
    return _Name(path)


def _list(value):
    if type(value) is not list:
        raise ValueError("no list")
    return value


def _fill(value, pairs=()):
    """Put pairs into a dict; other keys than names and numbers could take forever to hash and compare."""
    if type(value) is not dict:
        raise ValueError("no dict")
    for key, item in pairs:
        if not _is_name(key) and not (type(key) is int and abs(key) < LARGEST_NUMBER):
            raise ValueError("a key that is no name")
        value[key] = item
    return value


def _is_name(value):
    return type(value) is str and len(value) < LONGEST_NAME


def _storage(kind, storage_type, key, location, count, view=None):
    if kind != "storage" or not _is_name(key) or not is_number(count) or view is not None:
        raise ValueError("no storage")
    return Storage(key, STORAGES[storage_type.path], count)


def _dict(pairs=None):
    filled = _fill({}, pairs or ())
    if pairs:
        _list(pairs).clear()  # otherwise a short pickle could copy a long list again and again
    return filled


def _tensor(storage, offset, shape, strides, *_):
    if not isinstance(storage, Storage) or storage.dtype is UNTYPED:
        raise ValueError("no storage with a type")
    return StoredTensor(storage, storage.dtype, offset, shape, strides)


def _tensor_of_dtype(storage, offset, shape, strides, requires_grad, hooks, dtype, *_):
    return StoredTensor(storage, DTYPES[dtype.path], offset, shape, strides)


def _parameter(tensor, *_):
    if not isinstance(tensor, StoredTensor):
        raise ValueError("no tensor")
    return tensor


# What a pickle may call, and what takes its place.
CALLS = {
    "collections.OrderedDict": _dict,
    "torch._utils._rebuild_tensor": _tensor,
    "torch._utils._rebuild_tensor_v2": _tensor,
    "torch._utils._rebuild_tensor_v3": _tensor_of_dtype,
    "torch._utils._rebuild_parameter": _parameter,
    # Beside the tensors in checkpoints of training.
    "torch.Size": lambda sides=(): sides,
    "torch.device": lambda *words: words,
}
