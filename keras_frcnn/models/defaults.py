"""Reading the tables of `arguments.py`: what an argument is where a constructor leaves it open."""

import functools
import typing
from collections.abc import Mapping
from types import MappingProxyType

from keras_frcnn import images
from keras_frcnn.backbones import Backbone

# Stands in a table where each backbone says for itself.
BACKBONES = "the backbone's"


class Open(typing.NamedTuple):
    """The default of an argument that is None in the signature, which the backbone's own default overrides.

    The two lines of recipes part by the kind of features: one map (py-faster-rcnn) or a pyramid
    (torchvision).

    Args:
        one_map: value over one feature map.
        pyramid: value over a pyramid.
    """

    one_map: typing.Any
    pyramid: typing.Any


def alike(value):
    """The `Open` of an argument that both lines of recipes have alike."""
    return Open(value, value)


class Entry(typing.NamedTuple):
    """One argument: its type, its default (perhaps `Open`) and what it is."""

    type: typing.Any
    default: typing.Any
    description: str


@functools.cache
def entries(group: type) -> dict[str, Entry]:
    """The arguments of a group, a TypedDict of `arguments.py`, by name."""
    hints = typing.get_type_hints(group, include_extras=True)
    return {name: Entry(*typing.get_args(hint)) for name, hint in hints.items()}


def resolve(group: type, given: Mapping, backbone: Backbone, own: Mapping = MappingProxyType({})) -> Mapping:
    """Give each argument of a constructor its value.

    Args:
        group: TypedDict of the constructor.
        given: dict of the arguments that the caller gave; one that is None takes its default.
        backbone: `Backbone`, whose defaults come before those of the tables.
        own: dict of defaults that the method works out, which come before those of the tables too.

    Returns:
        Read-only mapping from every name of the group to its value.

    Raises:
        ValueError: a value that all methods refuse.
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
        values[name] = default if value is None and not isinstance(default, Open) else value
    values["image_size"] = images.checked_image_size(values["image_size"])
    values["canvas"] = bool(values["canvas"])
    if "max_detections" in values:
        values["max_detections"] = int(values["max_detections"])
    images.checked_rounding(values["resize_rounding"])
    return MappingProxyType(values)
