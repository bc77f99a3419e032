"""ResNet-50 C4."""

import keras

from keras_frcnn.backbones.backbone import Backbone, application, stages_by_prefix


def resnet50(weights="none"):
    """ResNet-50 up to conv4, stride 16; conv5 is the head (Deep Residual Learning, appendix A).

    Args:
        weights: "none", "imagenet" or a weights file of `keras.applications.ResNet50(include_top=False)`.
    """
    full, source = application(keras.applications.ResNet50, "resnet50", weights)
    if source == "none":
        # At 0.99, the statistics would lag hundreds of steps behind a network that trains from scratch.
        for layer in full.layers:
            if isinstance(layer, keras.layers.BatchNormalization):
                layer.momentum = 0.9
    conv4 = full.get_layer("conv4_block6_out").output
    network = keras.Model(full.input, [conv4], name="resnet50_conv4")
    return Backbone(
        network=network,
        strides=(16,),
        pooled_levels=1,
        anchor_sizes=((128, 256, 512),),
        preprocessing="caffe",
        stages=stages_by_prefix(network, ["conv1", "conv2", "conv3", "conv4"]),
        head=keras.Model(conv4, full.get_layer("conv5_block3_out").output, name="resnet50_conv5"),
        # conv5 halves 14 × 14 bins to 7 × 7.
        defaults={"frozen_stages": 2, "rpn_channels": 512, "pool_size": 14},
        source=source,
    )
