"""Walk over the layers inside a model or layer, and read and set which are trainable."""

import collections
import re

import keras

from keras_frcnn import _compat


def layers_by_path(layer, above=""):
    """Yield pairs of path, such as "rpn/conv", and layer, each layer before those inside it.

    Args:
        layer: `keras.layers.Layer`, such as a model.
        above: str, prefix of all paths.
    """
    numbers = collections.Counter()
    for inner in _compat.layers_inside(layer):
        if isinstance(inner, keras.layers.InputLayer):
            continue
        name = inner.name
        stem = re.sub(r"_\d+$", "", name)
        # Default names, such as conv2d_7, count the layers of the process; count siblings instead.
        if stem.replace("_", "") == type(inner).__name__.lower():
            name = f"{stem}_{numbers[stem]}"
            numbers[stem] += 1
        yield above + name, inner
        yield from layers_by_path(inner, f"{above}{name}/")


def trainable_flags(layer):
    """Read the `trainable` flags of all layers inside another.

    Args:
        layer: `keras.layers.Layer`, such as a model.

    Returns:
        dict from the path of each layer inside, such as "rpn/conv", to its `trainable`, a bool.
    """
    return {path: inner.trainable for path, inner in layers_by_path(layer)}


def set_trainable_flags(layer, flags):
    """Set the `trainable` flags of layers inside another; the others keep theirs.

    Args:
        layer: `keras.layers.Layer`, such as a model.
        flags: dict as from `trainable_flags`, with all paths or some; unknown paths are ignored.
    """
    wanted = trainable_flags(layer) | flags
    # Keras passes a layer's flag on to its inner layers; they come later here and get their own flag back.
    for path, inner in layers_by_path(layer):
        inner.trainable = wanted[path]
