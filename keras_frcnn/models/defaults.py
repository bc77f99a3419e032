"""Read the tables in `arguments.py`, and resolve the arguments that a caller leaves open."""

import functools
import typing
from collections.abc import Mapping
from types import MappingProxyType

from keras_frcnn import images as image_ops
from keras_frcnn.backbones import Backbone

# Marks a default that only the backbone knows.
UNKNOWN = "the backbone's"


class BackboneOr:
    """Default of an argument that is None in the signature: the backbone's own, or else this.

    Args:
        one_map: value with one feature map, as in py-faster-rcnn.
        pyramid: value with a pyramid, as in torchvision; by default the same.
    """

    def __init__(self, one_map: typing.Any, *pyramid: typing.Any):
        self.one_map = one_map
        (self.pyramid,) = pyramid or (one_map,)

    def over(self, backbone: Backbone) -> typing.Any:
        """Return the value for the features of a backbone."""
        return self.pyramid if backbone.pyramid else self.one_map


FROM_BACKBONE = BackboneOr(UNKNOWN)


class Entry(typing.NamedTuple):
    """One argument: its type, its default (perhaps a `BackboneOr`) and its description."""

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
    # `weights_source` is given where weights will be loaded later; these count as pretrained too.
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
        if value is None:
            value = known.get(name, default.over(backbone)) if isinstance(default, BackboneOr) else default
        values[name] = value
    values["image_size"] = image_ops.checked_image_size(values["image_size"])
    values["canvas"] = bool(values["canvas"])
    if "max_detections" in values:
        values["max_detections"] = int(values["max_detections"])
    image_ops.checked_rounding(values["resize_rounding"])
    return MappingProxyType(values)
