"""ResNet-50 with a feature pyramid, as in torchvision's `fasterrcnn_resnet50_fpn`."""

import keras

from keras_frcnn.backbones.backbone import Backbone, stages_by_prefix
from keras_frcnn.backbones.resnet_body import resnet50_body
from keras_frcnn.backbones.torchvision_common import DEFAULTS, load_body
from keras_frcnn.layers import FeaturePyramid


def resnet50_fpn(weights="none"):
    """ResNet-50 with a 256-channel pyramid at strides 4 to 64 (Feature Pyramid Networks, section 5.1).

    Args:
        weights: "none", "imagenet", or a file or state dict of torchvision's `resnet50`; the pyramid itself
            always starts from random weights.
    """
    return resnet50_pyramid("resnet50_fpn", weights)


def resnet50_pyramid(name, weights, batch_norm=False, defaults=None):
    """Build the backbone of torchvision's two Faster R-CNNs with a ResNet-50.

    Args:
        name: name of the backbone.
        weights: see `resnet50_fpn`.
        batch_norm: whether the pyramid has batch normalization after each convolution, instead of biases.
        defaults: detector arguments in addition to those that both share.

    Returns:
        `Backbone`.
    """
    images = keras.Input((None, None, 3), name="images")
    pyramid = FeaturePyramid(channels=256, extra_levels=1, batch_norm=batch_norm, name="fpn")
    maps = resnet50_body(images)
    body = keras.Model(images, maps, name="resnet50")
    network = keras.Model(images, pyramid(maps), name=name)
    # torchvision trains 3 of the 5 stages: layer2, layer3 and layer4.
    prefixes = ("conv1", "layer1", "layer2", "layer3", "layer4")
    return Backbone(
        network=network,
        strides=(4, 8, 16, 32, 64),
        pooled_levels=4,
        anchor_sizes=((32,), (64,), (128,), (256,), (512,)),
        preprocessing="torch",
        stages=stages_by_prefix(body, prefixes),
        defaults={**DEFAULTS, "frozen_stages": 2, **(defaults or {})},
        source=load_body(body, weights, "resnet50-0676ba61.pth", "fc."),
    )
