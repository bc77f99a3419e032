"""Which of the layers inside a model or layer train."""

import collections
import re

import keras

from keras_frcnn import _compat


def trainable_flags(layer):
    """Read the flags of all layers inside another.

    Args:
        layer: `keras.layers.Layer`, such as a model.

    Returns:
        dict from the path of each layer inside, such as "rpn/conv", to its `trainable`, a bool.
    """
    return {path: inner.trainable for path, inner in _inside(layer)}


def set_trainable_flags(layer, flags):
    """Set the flags of layers inside another; the others keep theirs.

    Args:
        layer: `keras.layers.Layer`, such as a model.
        flags: dict as from `trainable_flags`, of all paths or some; a path that is not there is passed over.
    """
    wanted = trainable_flags(layer) | flags
    # Keras hands a layer's flag on to those inside it, which come later here and get their own again.
    for path, inner in _inside(layer):
        inner.trainable = wanted[path]


def _inside(layer, above=""):
    """Pairs of path and layer, each before those inside it."""
    numbers = collections.Counter()
    for inner in _compat.layers_inside(layer):
        if isinstance(inner, keras.layers.InputLayer):
            continue
        name = inner.name
        stem = re.sub(r"_\d+$", "", name)
        # In a name that Keras made, such as conv2d_7, the number counts layers of the process; here siblings.
        if stem.replace("_", "") == type(inner).__name__.lower():
            name = f"{stem}_{numbers[stem]}"
            numbers[stem] += 1
        yield above + name, inner
        yield from _inside(inner, f"{above}{name}/")
