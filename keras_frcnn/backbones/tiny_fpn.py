"""A small feature pyramid that trains from scratch on a CPU."""

from pathlib import Path

import keras

from keras_frcnn.backbones.backbone import Backbone, load_file
from keras_frcnn.layers import FeaturePyramid

WIDTHS = (16, 32, 64, 128, 192)


def tiny_fpn(weights="none"):
    """Five stages of convolutions and a 64-channel pyramid at strides 8 to 128; 0.9 million weights.

    Args:
        weights: "none" or a weights file saved from this network.

    Raises:
        ValueError: "imagenet" is requested; there are no such weights.
    """
    if weights == "imagenet":
        raise ValueError(
            "tiny_fpn has no ImageNet weights; use backbone_weights='none' (--backbone-weights none), or a "
            "backbone such as mobilenet_v2_fpn."
        )
    images = keras.Input((None, None, 3), name="images")
    stages, levels, x = [], [], images
    for stage, width in enumerate(WIDTHS, start=1):
        names = []
        # The fine stages have one convolution, because they cost the most and see the least.
        for index, stride in enumerate((2, 1) if stage > 2 else (2,), start=1):
            name = f"stage{stage}_{index}"
            x = keras.layers.Conv2D(
                width,
                3,
                stride,
                padding="same",
                use_bias=False,
                kernel_initializer="he_normal",
                name=f"{name}_conv",
            )(x)
            x = keras.layers.BatchNormalization(momentum=0.9, name=f"{name}_bn")(x)
            x = keras.layers.ReLU(name=f"{name}_relu")(x)
            names += [f"{name}_conv", f"{name}_bn", f"{name}_relu"]
        stages.append(tuple(names))
        levels.append(x)
    pyramid = FeaturePyramid(channels=64, extra_levels=2, name="fpn")(levels[2:])
    network = keras.Model(images, pyramid, name="tiny_fpn")
    if weights != "none":
        load_file(network, "tiny_fpn", weights)
    return Backbone(
        network=network,
        strides=(8, 16, 32, 64, 128),
        pooled_levels=3,
        anchor_sizes=((16, 24), (32, 48), (64, 96), (128, 192), (256, 384)),
        preprocessing="tf",
        stages=tuple(stages),
        defaults={
            "rpn_channels": 64,
            "rpn_pre_nms": (500, 300),
            "rpn_post_nms": (300, 150),
            "head_units": (256, 256),
            "head_batch_size": 64,
        },
        source=Path(weights).name,
    )
