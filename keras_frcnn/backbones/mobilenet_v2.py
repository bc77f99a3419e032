"""MobileNetV2 with a single level, and with a feature pyramid."""

import keras

from keras_frcnn.backbones.backbone import Backbone, application, stages_by_prefix
from keras_frcnn.layers import FeaturePyramid

# Each of these expansions is the last and widest map at its resolution.
C3, C4, C5 = "block_6_expand_relu", "block_13_expand_relu", "out_relu"
STAGES = ("Conv1", "block_1_", "block_3_", "block_6_", "block_13_")


def mobilenet_v2(weights="none"):
    """MobileNetV2 at stride 16, up to the expansion of block 13.

    Args:
        weights: "none", "imagenet" or a weights file of `keras.applications.MobileNetV2(include_top=False)`.
    """
    full, source = application(keras.applications.MobileNetV2, "mobilenet_v2", weights)
    network = keras.Model(full.input, [full.get_layer(C4).output], name="mobilenet_v2")
    return Backbone(
        network=network,
        strides=(16,),
        pooled_levels=1,
        anchor_sizes=((32, 64, 128, 256, 512),),
        preprocessing="tf",
        stages=stages_by_prefix(network, STAGES),
        defaults={"frozen_stages": 2, "rpn_channels": 256, "rpn_min_size": 4.0},
        source=source,
    )


def mobilenet_v2_fpn(weights="none"):
    """MobileNetV2 with a 128-channel pyramid at strides 8 to 128.

    Args:
        weights: "none", "imagenet" or a weights file of `keras.applications.MobileNetV2(include_top=False)`;
            the pyramid itself always starts from random weights.
    """
    full, source = application(keras.applications.MobileNetV2, "mobilenet_v2_fpn", weights)
    levels = [full.get_layer(name).output for name in (C3, C4, C5)]
    pyramid = FeaturePyramid(channels=128, extra_levels=2, name="fpn")(levels)
    network = keras.Model(full.input, pyramid, name="mobilenet_v2_fpn")
    return Backbone(
        network=network,
        strides=(8, 16, 32, 64, 128),
        pooled_levels=3,
        # Two sizes per octave: with one, an object between two sizes has no anchor with IoU 0.7.
        anchor_sizes=((32, 45), (64, 91), (128, 181), (256, 362), (512, 724)),
        preprocessing="tf",
        stages=stages_by_prefix(full, STAGES),
        defaults={
            "frozen_stages": 2,
            "rpn_channels": 128,
            "rpn_pre_nms": (1000, 600),
            "rpn_post_nms": (1000, 300),
            "head_units": (512, 512),
            "head_batch_size": 256,
        },
        source=source,
    )
