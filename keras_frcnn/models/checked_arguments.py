"""Check the arguments of a constructor against the tables in `arguments.py`.

The type and the range of a value are those that `help` shows: the annotation, and one of the phrases of
`RANGES` in the description.
"""

import contextlib
import contextvars
import math
import re
import types
import typing
import warnings
from collections.abc import Iterable, Mapping, Set

import keras
import numpy as np

from keras_frcnn.names import remedy

# Arguments that every `keras.Model` takes.
OF_KERAS = ("name", "dtype", "trainable", "activity_regularizer")
RANGES = {
    "0 to 1": lambda number: 0 <= number <= 1,
    "at least 0": lambda number: number >= 0,
    "at least 1": lambda number: number >= 1,
    "above 0": lambda number: number > 0,
}
# Not a part of a longer number, such as "above 0.5".
_RANGE = re.compile(rf"\b({'|'.join(RANGES)})(?!\.?\d)")
# For each type what one value is called, and what several are.
_WORDS = {
    int: ("a whole number", "whole numbers"),
    float: ("a number", "numbers"),
    str: ("a string", "strings"),
    bool: ("True or False", "True or False"),
    types.NoneType: ("None", "None"),
}
_NO_TUPLES = (str, bytes, Mapping, Set)
_COUNTS = {2: "two", 3: "three", 4: "four"}
_of_a_file = contextvars.ContextVar("of_a_file", default=False)
# Longer values are cut in messages.
LONGEST = 80


def checked_arguments(method: str, arguments: Mapping, known: Mapping) -> dict:
    """Return the arguments of a constructor; what a config has as a dict, such as a loss, is an object again.

    Args:
        method: name of the class.
        arguments: dict of the arguments that were given; None stands for the default.
        known: dict from the names of the method's arguments to their `Entry`.

    Returns:
        dict.

    Raises:
        ValueError: neither the method nor Keras has an argument of this name, or its value is of another type
            or out of range.
    """
    arguments = {
        name: keras.saving.deserialize_keras_object(value)
        if name in known and isinstance(value, dict)
        else value
        for name, value in arguments.items()
    }
    for name, value in arguments.items():
        if name in known:
            arguments[name] = checked_value(name, value, known[name])
        elif name not in OF_KERAS:
            listed = remedy(name, known, f"see help(keras_frcnn.{method}).")
            raise ValueError(f"{method} has no argument {name!r}; {listed}")
    return arguments


@contextlib.contextmanager
def as_saved():
    """Context manager in which a value out of range, which an earlier version has saved, is only told."""
    token = _of_a_file.set(True)
    try:
        yield
    finally:
        _of_a_file.reset(token)


def checked_value(name, value, entry):
    """Return a value if it is of the type and in the range that its `Entry` states.

    Lists count as tuples, and numbers of NumPy as Python's. A bool is no number; 0 and 1 are bools. Whole
    floats become whole numbers where these are wanted.

    Raises:
        ValueError: it is not.
    """
    if value is None or entry.type is typing.Any:
        return value
    plain, within = _plain(value), stated_range(entry.description)
    if not _fits(plain, entry.type, RANGES.get(within, lambda number: True)):
        shown = " ".join(repr(plain).split())
        shown = shown if len(shown) <= LONGEST else f"{shown[:LONGEST]}…"
        wanted = _wanted(entry.type) + (f", {within}" if within else "")
        message = f"{name} is {shown}; give {wanted}."
        if not _of_a_file.get():
            raise ValueError(message)
        warnings.warn(message, stacklevel=2)
    return _whole(plain) if _wants_whole(entry.type) else value


def _wants_whole(kind):
    """Whether a type, or one inside it, is that of whole numbers and not of others."""
    kinds = [one for part in _alternatives(kind) for one in (typing.get_args(part) or [part])]
    return int in kinds and float not in kinds


def _whole(value):
    """The value with floats that are whole as whole numbers."""
    if isinstance(value, (list, tuple)):
        return type(value)(map(_whole, value))
    return int(value) if isinstance(value, float) and value.is_integer() else value


def stated_range(description: str) -> str:
    """The phrase of `RANGES` in a description; "" if there is none."""
    found = _RANGE.search(description)
    return found[1] if found else ""


def _plain(value):
    """Arrays, tensors and their numbers as lists and numbers of Python, also inside sequences."""
    if hasattr(value, "__array__"):
        return np.asarray(value).tolist()
    # A TensorShape has a length, but is no Collection.
    if isinstance(value, Iterable) and hasattr(value, "__len__") and not isinstance(value, _NO_TUPLES):
        return (list if isinstance(value, list) else tuple)(_plain(one) for one in value)
    return value


def _fits(value, kind, in_range):
    """Whether a plain value is of a type, and each number in it in the range."""
    if typing.get_origin(kind) is tuple:
        kinds = typing.get_args(kind)
        if not isinstance(value, (list, tuple)):
            return False
        if kinds[-1] is ...:
            kinds = kinds[:1] * len(value)
        return len(kinds) == len(value) and all(map(_fits, value, kinds, [in_range] * len(kinds)))
    if len(_alternatives(kind)) > 1:
        return any(_fits(value, one, in_range) for one in _alternatives(kind))
    if kind is bool:
        return isinstance(value, int) and value in (0, 1)
    if kind not in (int, float):
        return isinstance(value, kind)
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not math.isfinite(value):
        return False
    return (kind is float or value == int(value)) and in_range(value)


def _alternatives(kind):
    """The types of a union; of another type itself."""
    union = typing.get_origin(kind) in (types.UnionType, typing.Union)
    return typing.get_args(kind) if union else (kind,)


def _wanted(kind):
    """What to give for an argument of a type, such as "two whole numbers"."""
    (kind,) = [one for one in _alternatives(kind) if one is not types.NoneType]
    if typing.get_origin(kind) is tuple:
        parts = typing.get_args(kind)
        return _several(kind) if parts[-1] is not ... else f"a tuple of {_several(kind)}"
    return _WORDS[kind][0]


def _several(kind):
    """The entries of a tuple in words, such as "two whole numbers" or "numbers or tuples of numbers"."""
    parts = typing.get_args(kind)
    words = [
        f"tuples of {_several(one)}" if typing.get_origin(one) is tuple else _WORDS[one][1]
        for one in _alternatives(parts[0])
    ]
    count = "" if parts[-1] is ... else f"{_COUNTS[len(parts)]} "
    return count + " or ".join(words)
