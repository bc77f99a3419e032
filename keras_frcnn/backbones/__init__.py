"""Feature networks: by name, any `keras.Model` with named levels, or a pyramid on a network."""

import keras

from keras_frcnn.backbones.backbone import Backbone, dtype_policy, mark_source
from keras_frcnn.backbones.copied_network import copied, copied_network
from keras_frcnn.backbones.mobilenet_v2 import mobilenet_v2, mobilenet_v2_fpn
from keras_frcnn.backbones.mobilenet_v3_large_320_fpn import mobilenet_v3_large_320_fpn
from keras_frcnn.backbones.mobilenet_v3_large_fpn import mobilenet_v3_large_fpn
from keras_frcnn.backbones.pyramid import pyramid
from keras_frcnn.backbones.resnet50 import resnet50
from keras_frcnn.backbones.resnet50_fpn import resnet50_fpn
from keras_frcnn.backbones.resnet50_fpn_v2 import resnet50_fpn_v2
from keras_frcnn.backbones.tiny_fpn import tiny_fpn
from keras_frcnn.backbones.vgg16 import vgg16
from keras_frcnn.backbones.zf import zf
from keras_frcnn.names import remedy

NETWORKS = {
    "vgg16": vgg16,
    "zf": zf,
    "resnet50": resnet50,
    "resnet50_fpn": resnet50_fpn,
    "resnet50_fpn_v2": resnet50_fpn_v2,
    "mobilenet_v2": mobilenet_v2,
    "mobilenet_v2_fpn": mobilenet_v2_fpn,
    "mobilenet_v3_large_fpn": mobilenet_v3_large_fpn,
    "mobilenet_v3_large_320_fpn": mobilenet_v3_large_320_fpn,
    "tiny_fpn": tiny_fpn,
}

# Backbones that accept torchvision's files and state dicts.
OF_TORCHVISION = ("resnet50_fpn", "resnet50_fpn_v2", "mobilenet_v3_large_fpn", "mobilenet_v3_large_320_fpn")

# Side of the probe image, pixels: above the coarsest stride, so that every level has cells.
PROBE = 1024


def get(backbone, weights="none"):
    """Build a backbone by name, or from your own network.

    Args:
        backbone: one of `NETWORKS`, or a `keras.Model` `[B, H, W, 3]` → dict of feature maps by level name,
            such as `{"P3": …, "P4": …}` (a single map: `{"C4": …}`). All maps are used for pooling. Or a
            `Backbone`, such as one of `pyramid`.
        weights: "imagenet", "none" (or None, as in Keras) or the path of a weights file: `.weights.h5`, or
            for torchvision's networks a torchvision file; these networks also take a state dict.

    Returns:
        `Backbone`.

    Raises:
        ValueError: unknown name, or weights that do not fit.
    """
    weights = "none" if weights is None else weights
    if not isinstance(backbone, str) and weights != "none":
        raise ValueError(
            "A backbone that is not given by name brings its own weights; leave backbone_weights at 'none'."
        )
    if isinstance(backbone, Backbone):
        return backbone
    if isinstance(backbone, keras.Model):
        return _from_model(backbone)
    if backbone not in NETWORKS:
        raise ValueError(
            f"Unknown backbone {backbone!r}; "
            + remedy(backbone, NETWORKS, f"use one of {', '.join(NETWORKS)}, or a keras.Model.")
        )
    if isinstance(weights, dict) and backbone not in OF_TORCHVISION:
        raise ValueError(
            f"Backbone {backbone!r} takes no state dict, which only {', '.join(OF_TORCHVISION)} do; give "
            "'imagenet', 'none' or a .weights.h5 file."
        )
    return NETWORKS[backbone](weights)


def _from_model(model):
    if not isinstance(model.output, dict) or not model.output:
        raise ValueError(
            f"Backbone {model.name!r} must return a dict of named feature maps, such as {{'P3': …, 'P4': …}}"
            "; build it with keras.Model(inputs, {'P3': …})."
        )
    shapes = model.compute_output_shape((1, PROBE, PROBE, 3))
    strides = {name: PROBE // shape[1] for name, shape in shapes.items()}
    names = sorted(strides, key=lambda name: strides[name])
    channels = {name: shapes[name][-1] for name in names}
    if len(set(channels.values())) > 1:
        raise ValueError(
            f"The levels of backbone {model.name!r} have different widths {channels}, but one RPN serves "
            "them all; bring them to one width, for example with keras_frcnn.layers.FeaturePyramid."
        )
    network = keras.Model(model.input, [model.output[name] for name in names], name=model.name)
    mark_source(network, "as given")
    strides = tuple(strides[name] for name in names)
    sizes = tuple(8 * stride for stride in strides) if len(names) > 1 else ((128, 256, 512),)
    return Backbone(
        network=network,
        strides=strides,
        pooled_levels=len(names),
        anchor_sizes=sizes,
        preprocessing="tf",
        source="as given",
    )


__all__ = [
    "NETWORKS",
    "Backbone",
    "copied",
    "copied_network",
    "dtype_policy",
    "get",
    "mobilenet_v2",
    "mobilenet_v2_fpn",
    "mobilenet_v3_large_320_fpn",
    "mobilenet_v3_large_fpn",
    "pyramid",
    "resnet50",
    "resnet50_fpn",
    "resnet50_fpn_v2",
    "tiny_fpn",
    "vgg16",
    "zf",
]
