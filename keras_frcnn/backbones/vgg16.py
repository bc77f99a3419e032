"""VGG16, the network of Fast and Faster R-CNN."""

import functools
from typing import Any

import h5py
import keras

from keras_frcnn.backbones.backbone import Backbone, application, imagenet, stages_by_prefix


def vgg16(weights="none"):
    """The 13 convolutions of VGG16 up to conv5_3, stride 16 (Faster R-CNN, section 3).

    Args:
        weights: "none", "imagenet" or a weights file of `keras.applications.VGG16`, with or without its top;
            the top holds fc6 and fc7 for the head.
    """
    full, source = application(keras.applications.VGG16, "vgg16", weights)
    network = keras.Model(full.input, [full.get_layer("block5_conv3").output], name="vgg16")
    return Backbone(
        network=network,
        strides=(16,),
        pooled_levels=1,
        anchor_sizes=((128, 256, 512),),
        preprocessing="caffe",
        stages=stages_by_prefix(network, [f"block{index}" for index in range(1, 6)]),
        # The paper freezes conv1 and conv2 when pretrained: they are generic and cost the most memory.
        defaults={
            "frozen_stages": 2,
            "rpn_channels": 512,
            "head_units": (4096, 4096),
            "head_dropout": 0.5,
        },
        source=source,
        load_fc=None if source == "none" else functools.partial(_fully_connected, str(weights)),
    )


def _fully_connected(weights):
    """Kernel and bias of fc6 and fc7 from ImageNet or from a file; empty if the file has no top."""
    if weights == "imagenet":
        classifier = imagenet(keras.applications.VGG16, "vgg16")
        return tuple(tuple(classifier.get_layer(name).get_weights()) for name in ("fc1", "fc2"))
    with h5py.File(weights) as file:
        # Keras stores layers by class and order; the third dense layer is the classifier.
        paths = [f"layers/{name}/vars" for name in ("dense", "dense_1")]
        if not all(path in file for path in paths):
            return ()
        stored: Any = [[file[f"{path}/{number}"] for number in (0, 1)] for path in paths]
        return tuple((kernel[()], bias[()]) for kernel, bias in stored)
