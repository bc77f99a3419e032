"""MobileNetV3-Large with a feature pyramid, as in torchvision's `fasterrcnn_mobilenet_v3_large_fpn`."""

import keras

from keras_frcnn.backbones.backbone import Backbone, stages_by_prefix
from keras_frcnn.backbones.mobilenet_v3_body import STAGE_STARTS, mobilenet_v3_large_body
from keras_frcnn.backbones.torchvision_common import DEFAULTS, load_body
from keras_frcnn.layers import FeaturePyramid


def mobilenet_v3_large_fpn(weights="none"):
    """MobileNetV3-Large with a 256-channel pyramid of two levels at stride 32 and one at 64.

    Args:
        weights: "none", "imagenet", or a file or state dict of torchvision's `mobilenet_v3_large`; the
            pyramid itself always starts from random weights.
    """
    return mobilenet_v3_large_pyramid("mobilenet_v3_large_fpn", weights)


def mobilenet_v3_large_pyramid(name, weights, defaults=None):
    """Build the backbone of torchvision's two Faster R-CNNs with a MobileNetV3-Large.

    Args:
        name: name of the backbone.
        weights: see `mobilenet_v3_large_fpn`.
        defaults: detector arguments in addition to those that both share.

    Returns:
        `Backbone`.
    """
    images = keras.Input((None, None, 3), name="images")
    maps = mobilenet_v3_large_body(images)
    body = keras.Model(images, maps[-1], name="mobilenet_v3_large")
    pyramid = FeaturePyramid(channels=256, extra_levels=1, name="fpn")([maps[13], maps[16]])
    network = keras.Model(images, pyramid, name=name)
    # torchvision trains 3 of the 6 stages.
    prefixes = [f"features.{start}." for start in STAGE_STARTS]
    return Backbone(
        network=network,
        strides=(32, 32, 64),
        # Both levels at stride 32 fit every RoI equally well, and the rule assigns all RoIs to the first.
        pooled_levels=1,
        anchor_sizes=((32, 64, 128, 256, 512),) * 3,
        preprocessing="torch",
        stages=stages_by_prefix(body, prefixes),
        defaults={**DEFAULTS, "frozen_stages": 3, "rpn_score_threshold": 0.05, **(defaults or {})},
        source=load_body(body, weights, "mobilenet_v3_large-8738ca79.pth", "classifier."),
    )
