"""A feature pyramid on a classification network.

Level l has cells of 2ˡ pixels. Letters: B images, H height, W width.
"""

import dataclasses
import re

import keras

from keras_frcnn import _compat
from keras_frcnn.backbones.backbone import Backbone, mark_source
from keras_frcnn.backbones.copied_network import copied_network
from keras_frcnn.layers import FeaturePyramid
from keras_frcnn.names import remedy

# Side of the probe image, pixels: so large that a global pooling is told from the coarsest map.
PROBE = 1024

# Side of the anchors of the finest level, pixels; Feature Pyramid Networks, section 4.1.
FINEST_ANCHOR = 32.0

# What those networks of keras.applications that do not normalize pixels themselves expect, by their names.
OF_APPLICATIONS = (
    (r"resnet\d+|vgg\d+", "caffe"),
    (r"densenet\d+", "torch"),
    (r"resnet\d+v2|mobilenet(v2)?_[\d.]+_\w+|xception|inception_v3|inception_resnet_v2", "tf"),
)

NORMALIZING = (keras.layers.Rescaling, keras.layers.Normalization)


@dataclasses.dataclass(frozen=True)
class _Map:
    """A tensor of a network, and its level.

    `exact` if it is a map of that level; `whole` if in addition all later tensors are computed from it alone.
    """

    tensor: keras.KerasTensor
    name: str
    level: int
    exact: bool
    whole: bool


def pyramid(
    network: keras.Model,
    levels: tuple[int | str, ...] = (2, 3, 4, 5, 6),
    channels: int = 256,
    batch_norm: bool = False,
    preprocessing: str | None = None,
    anchor_sizes: tuple | None = None,
) -> Backbone:
    """Build a pyramid on a network (Feature Pyramid Networks, sections 3 and 4.1).

    A detector with `frozen_stages=l` freezes all layers of the network up to level l. Pretrained networks are
    best used with `frozen_stages=2, frozen_batch_norm=True`.

    Args:
        network: functional `keras.Model` `[B, H, W, 3]` → feature map, such as one of `keras.applications`
            with `include_top=False`, or a backbone of KerasHub. It is copied with its weights, not changed.
        levels: levels of the pyramid, fine to coarse and without a gap. Level l is made of the last map with
            cells of 2ˡ pixels that all later ones are computed from; the name of a layer takes its output
            instead. Levels coarser than the network are subsampled from its last map: they have anchors,
            but no RoIs are pooled from them.
        channels: channels of every level; 256 in the paper.
        batch_norm: whether batch normalization follows each convolution of the pyramid.
        preprocessing: "caffe", "torch", "tf", or "none" for a network that takes pixels of 0–255. By default
            it is told by the layers of the network or, for `keras.applications`, by its name.
        anchor_sizes: one or more anchor sides for each level, pixels; by default 32 for the finest and twice
            as much for each coarser one.

    Returns:
        `Backbone`, which a detector takes as its backbone.

    Raises:
        ValueError: the network is not functional, takes one size of images only, or ends in a classifier; it
            has no map of a level; or its preprocessing is not known.

    Example:
        >>> network = keras.applications.EfficientNetV2B0(include_top=False, weights=None)
        >>> pyramid(network, levels=(3, 4, 5, 6), channels=128)
        <Backbone efficientnetv2-b0: 128 channels at stride 8, 16, 32, 64, weights: as given>
    """
    _check_input(network)
    maps = _maps(network)
    chosen, coarser = _chosen(network, maps, levels)
    preprocessing = preprocessing or _recognized(network)
    if anchor_sizes is None:
        anchor_sizes = tuple((FINEST_ANCHOR * 2**index,) for index in range(len(levels)))
    elif len(anchor_sizes) != len(levels):
        raise ValueError(f"There are {len(levels)} levels, and anchor_sizes for {len(anchor_sizes)}.")
    body = keras.Model(network.input, [one.tensor for one in chosen], name=network.name)
    body = copied_network(body)
    mark_source(body, "as given")
    merge = FeaturePyramid(channels, coarser, batch_norm, name="fpn", dtype=network.dtype_policy)
    return Backbone(
        network=keras.Model(body.input, merge(body.outputs), name=network.name),
        strides=tuple(2 ** (chosen[0].level + index) for index in range(len(levels))),
        pooled_levels=len(chosen),
        anchor_sizes=anchor_sizes,
        preprocessing=preprocessing,
        stages=_stages(body, maps),
        source="as given",
    )


def _check_input(network):
    if not isinstance(network, _compat.Functional):
        raise ValueError(
            f"Network {network.name!r} is no functional model, so its maps cannot be reached; build it with "
            "keras.Model(inputs, outputs)."
        )
    shape = network.inputs[0].shape
    if len(network.inputs) != 1 or len(shape) != 4 or shape[-1] != 3:
        raise ValueError(f"Network {network.name!r} takes {network.input_shape}, but no images [B, H, W, 3].")
    if shape[1:3] != (None, None):
        raise ValueError(
            f"Network {network.name!r} takes images of {shape[1]} by {shape[2]} pixels only; build it with "
            "input_shape=(None, None, 3)."
        )


def _maps(network):
    """List the tensors of a network as `_Map`s, each after those that it is computed from."""
    calls = [call for call in _compat.nodes(network) if call.input_tensors]
    tensors = [tensor for call in calls for tensor in call.outputs]
    try:
        shapes = keras.Model(network.input, tensors).compute_output_shape((1, PROBE, PROBE, 3))
    except Exception as error:  # a layer may raise anything
        raise ValueError(
            f"Network {network.name!r} takes no images of {PROBE} by {PROBE} pixels ({error}); a backbone "
            "takes every size that is a multiple of its largest stride."
        ) from error
    exact = {id(tensor): _exact_level(shape) for tensor, shape in zip(tensors, shapes)}
    ends = [exact[id(tensor)] for tensor in network.outputs]
    if None in ends:
        raise ValueError(
            f"Network {network.name!r} does not end in a feature map whose sides are those of the image over "
            "2, 4, 8 …; build it with include_top=False, or give it maps with padding='same'."
        )
    coarsest = max(level for level in ends if level is not None)
    last_use = {id(one): place for place, call in enumerate(calls) for one in call.input_tensors}
    levels = {id(one): 0 for one in network.inputs}
    # The last call that needs one of the tensors so far.
    maps, needed = [], max(last_use[id(one)] for one in network.inputs)
    for place, call in enumerate(calls):
        inputs = [id(one) for one in call.input_tensors]
        for tensor in call.outputs:
            own = exact[id(tensor)]
            is_map = own is not None and own <= coarsest
            levels[id(tensor)] = max(
                [own if own is not None and is_map else 0, *(levels[one] for one in inputs)]
            )
            whole = is_map and needed <= place and len(call.outputs) == 1
            maps.append(_Map(tensor, call.operation.name, levels[id(tensor)], is_map, whole))
        needed = max([needed, *(last_use.get(id(one), 0) for one in call.outputs)])
    return maps


def _exact_level(shape):
    """The level of a map of the probe image; None for other tensors."""
    if len(shape) != 4 or not shape[1] or shape[1] != shape[2] or PROBE % shape[1]:
        return None
    return (PROBE // shape[1]).bit_length() - 1


def _chosen(network, maps, levels):
    """Choose the map of each level; returns them, and the number of levels coarser than all maps."""
    if len(levels) < 2:
        raise ValueError(f"A pyramid has at least two levels, not {levels}.")
    whole = {one.level: one for one in maps if one.whole}
    named = {one.name: one for one in maps}
    coarsest, chosen = max(one.level for one in maps), []
    for wanted in levels:
        if isinstance(wanted, str) and wanted not in named:
            raise ValueError(
                f"Network {network.name!r} has no layer {wanted!r}; "
                + remedy(wanted, named, "see `network.summary()`.")
            )
        if isinstance(wanted, str) and not named[wanted].exact:
            raise ValueError(
                f"Layer {wanted!r} of network {network.name!r} gives no map whose sides are those of the "
                "image over 2, 4, 8 …; name another one."
            )
        if isinstance(wanted, str):
            chosen.append(named[wanted])
        elif wanted in whole:
            chosen.append(whole[wanted])
        elif wanted <= coarsest:
            there = ", ".join(map(str, sorted(whole)))
            raise ValueError(
                f"Network {network.name!r} has no map of level {wanted}, only of {there}; name a layer, "
                "leave the level out, or give the model that is inside this one."
            )
    found = [one.level for one in chosen] + [one for one in levels[len(chosen) :] if isinstance(one, int)]
    if not chosen or found != list(range(found[0], found[0] + len(levels))):
        raise ValueError(
            f"The levels {levels} of network {network.name!r} are {found}; give them from fine to coarse, "
            "without a gap, and one that the network has first."
        )
    return chosen, len(levels) - len(chosen)


def _stages(body, maps):
    """Names of the layers by level, from level 1; what comes before it belongs to the first."""
    levels = {one.name: max(one.level, 1) for one in maps}
    names = [layer.name for layer in body.layers if layer.name in levels]
    last = max(levels[name] for name in names)
    return tuple(tuple(name for name in names if levels[name] == level) for level in range(1, last + 1))


def _recognized(network):
    """The preprocessing that a network expects, by its first layers or its name."""
    for call in _compat.nodes(network):
        if isinstance(call.operation, NORMALIZING):
            return "none"
        if getattr(call.operation, "weights", ()):
            break
    for pattern, preprocessing in OF_APPLICATIONS:
        if re.fullmatch(pattern, network.name):
            return preprocessing
    raise ValueError(
        f"How network {network.name!r} wants its pixels is not known; give preprocessing: 'tf' for -1 to 1, "
        "'torch' or 'caffe' for those less a mean, or 'none' for 0 to 255."
    )
