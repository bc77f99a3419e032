"""The states of callbacks that do not save them: attributes that JSON can hold."""

import copy

import numpy as np

SIMPLE = (bool, int, float, str, type(None))


def changed(callback, initial):
    """The simple values of a callback, and its lists of arrays, that differ from those at the start."""
    if hasattr(callback, "state"):
        return callback.state(), {}
    now = attributes(callback)
    simple = {name: value for name, value in now.items() if name not in initial or initial[name] != value}
    lists = {
        name: value
        for name, value in vars(callback).items()
        if not name.startswith("_")
        and isinstance(value, list)
        and value
        and all(isinstance(one, np.ndarray) for one in value)
    }
    return simple, lists


def attributes(callback):
    """The public attributes of a callback that JSON can hold, as a copy."""
    if hasattr(callback, "state"):
        return {}
    # Keras turns the sign of `min_delta` when it learns that less is better; a new callback does so again.
    names = [
        name for name in vars(callback) if not name.startswith("_") and name not in ("params", "min_delta")
    ]
    values = {name: plain(getattr(callback, name)) for name in names}
    return {name: value for name, value in values.items() if value is not NotImplemented}


def plain(value):
    """A copy of a value that JSON can hold; NotImplemented for others."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, SIMPLE):
        return value
    if isinstance(value, (list, tuple)):
        values = [plain(one) for one in value]
        return NotImplemented if any(one is NotImplemented for one in values) else values
    if isinstance(value, dict):
        values = {name: plain(one) for name, one in value.items()}
        strange = any(one is NotImplemented for one in values.values()) or not all(
            isinstance(name, str) for name in values
        )
        return NotImplemented if strange else values
    return NotImplemented


def put_back(callback, values):
    if hasattr(callback, "restore"):
        callback.restore(values)
        return
    for name, value in values.items():
        setattr(callback, name, copy.deepcopy(value))
