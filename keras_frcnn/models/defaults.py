"""Read the tables in `arguments.py`, and resolve the arguments that a caller leaves open."""

import functools
import typing
from collections.abc import Mapping
from types import MappingProxyType

import keras

from keras_frcnn import images as image_ops
from keras_frcnn.backbones import Backbone

# Marks a default in the tables that each backbone defines.
BACKBONES = "the backbone's"


class Open(typing.NamedTuple):
    """Default of an argument that is None in the signature; the backbone's own default overrides it.

    The default depends on the features: one map (as in py-faster-rcnn) or a pyramid (as in torchvision).

    Args:
        one_map: value with one feature map.
        pyramid: value with a pyramid.
    """

    one_map: typing.Any
    pyramid: typing.Any


def alike(value):
    """Return an `Open` with the same default for one map and for a pyramid."""
    return Open(value, value)


class Entry(typing.NamedTuple):
    """One argument: its type, its default (perhaps `Open`) and its description."""

    type: typing.Any
    default: typing.Any
    description: str


@functools.cache
def entries(group: type) -> dict[str, Entry]:
    """Map the names of a group, a TypedDict of `arguments.py`, to its arguments."""
    hints = typing.get_type_hints(group, include_extras=True)
    return {name: Entry(*typing.get_args(hint)) for name, hint in hints.items()}


def resolve(group: type, given: Mapping, backbone: Backbone, own: Mapping = MappingProxyType({})) -> Mapping:
    """Resolve the value of each argument of a constructor.

    Args:
        group: TypedDict of the constructor.
        given: dict of the arguments that the caller gave; None stands for the default.
        backbone: `Backbone`, whose defaults override those of the tables.
        own: dict of defaults that the method computes, which override those of the tables too.

    Returns:
        Read-only mapping from every name of the group to its value.

    Raises:
        ValueError: a value is invalid for all methods.
    """
    # Weights loaded after construction count as pretrained too.
    pretrained = (given.get("weights_source") or backbone.source) not in ("none", "as given")
    known = {
        "preprocessing": backbone.preprocessing,
        "anchor_sizes": backbone.anchor_sizes,
        "weights_source": backbone.source,
        "frozen_batch_norm": pretrained,
        **own,
        **backbone.defaults,
    }
    if not pretrained:
        known |= {"frozen_stages": 0, "frozen_batch_norm": False}
    values = {}
    for name, entry in entries(group).items():
        value, default = given.get(name), entry.default
        if value is None and isinstance(default, Open):
            value = known.get(name, default.pyramid if backbone.pyramid else default.one_map)
        values[name] = default if value is None and not isinstance(default, Open) else _restored(value)
    values["image_size"] = image_ops.checked_image_size(values["image_size"])
    values["canvas"] = bool(values["canvas"])
    if "max_detections" in values:
        values["max_detections"] = int(values["max_detections"])
    image_ops.checked_rounding(values["resize_rounding"])
    return MappingProxyType(values)


def _restored(value):
    """Make the object again, such as a loss, that a config has as a dict."""
    return keras.saving.deserialize_keras_object(value) if isinstance(value, dict) else value
