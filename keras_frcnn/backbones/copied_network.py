"""Copy a user's network, so that a detector can freeze and train the copy."""

import dataclasses

import keras

from keras_frcnn.backbones.backbone import Backbone
from keras_frcnn.trainable_flags import layers_by_path, set_trainable_flags, trainable_flags


def copied(backbone):
    """Copy what a caller gives as backbone: a name, a `keras.Model` or a `Backbone`."""
    if isinstance(backbone, keras.Model):
        return copied_network(backbone)
    if isinstance(backbone, Backbone):
        networks = {name: getattr(backbone, name) for name in ("network", "head") if getattr(backbone, name)}
        return dataclasses.replace(
            backbone, **{name: copied_network(network) for name, network in networks.items()}
        )
    return backbone


def copied_network(network):
    """Copy a functional network with its weights, random state and trainable flags.

    Args:
        network: functional `keras.Model`; it is not changed.

    Returns:
        `keras.Model` with the same names and outputs; it shares nothing with the original.

    Raises:
        ValueError: the network is not functional, or a layer cannot be rebuilt from its `get_config()`.

    Example:
        >>> image = keras.Input([None, None, 3])
        >>> network = keras.Model(image, {"C4": keras.layers.Conv2D(8, 16, 16)(image)})
        >>> copied_network(network).layers[1] is network.layers[1]
        False
    """
    if not hasattr(network, "output"):
        raise ValueError(
            f"Backbone {network.name!r} is no functional model, so it cannot be copied; build it with "
            "keras.Model(inputs, {'P3': …})."
        )
    # Wrap the graph again: the optimizer of a compiled network would be copied too.
    graph = keras.Model(network.input, network.output, name=network.name)
    copy = keras.models.clone_model(graph, clone_function=_copied, recursive=True)
    for new, old in zip(copy.variables, graph.variables, strict=True):
        new.assign(old)
    set_trainable_flags(copy, trainable_flags(graph))
    for (_, new), (_, old) in zip(layers_by_path(copy), layers_by_path(graph), strict=True):
        if hasattr(old, "weights_source"):
            new.weights_source = old.weights_source
    return copy


def _copied(layer):
    try:
        config = layer.get_config()
        if isinstance(layer, keras.layers.Lambda):
            # The config stores the function as bytecode, without the global names that it reads.
            common = {name: config[name] for name in ("name", "trainable", "dtype")}
            shape = layer.compute_output_shape
            return type(layer)(layer.function, shape, layer.mask, layer.arguments, **common)
        return type(layer).from_config(config)
    except Exception as error:  # a layer's own class may raise anything
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
        raise ValueError(
            f"Layer {layer.name!r} of the backbone cannot be copied ({reason}); give it a get_config() that "
            "has every argument of its constructor, because a detector changes no network that it is given."
        ) from error
