"""Check the arguments of a constructor against the tables in `arguments.py`.

The type and the range of a value are those that `help` shows: the annotation, and one of the phrases of
`RANGES` in the description.
"""

import math
import re
import types
import typing
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
            check_value(name, value, known[name])
        elif name not in OF_KERAS:
            listed = remedy(name, known, f"see help(keras_frcnn.{method}).")
            raise ValueError(f"{method} has no argument {name!r}; {listed}")
    return arguments


def check_value(name, value, entry):
    """Raise a readable error unless a value is of the type and in the range that its `Entry` states.

    Lists count as tuples, and numbers of NumPy as Python's. A bool is no number.

    Raises:
        ValueError: it is not.
    """
    if value is None or entry.type is typing.Any:
        return
    plain, within = _plain(value), stated_range(entry.description)
    if not _fits(plain, entry.type, RANGES.get(within, lambda number: True)):
        shown = " ".join(repr(plain).split())
        shown = shown if len(shown) <= LONGEST else f"{shown[:LONGEST]}…"
        wanted = _wanted(entry.type) + (f", {within}" if within else "")
        raise ValueError(f"{name} is {shown}; give {wanted}.")


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
    if kind not in (int, float):
        return isinstance(value, kind)
    numbers = int if kind is int else (int, float)
    if not isinstance(value, numbers) or isinstance(value, bool):
        return False
    return (isinstance(value, int) or math.isfinite(value)) and in_range(value)


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
