"""MobileNetV3-Large for small images, as in torchvision's `fasterrcnn_mobilenet_v3_large_320_fpn`."""

from keras_frcnn.backbones.mobilenet_v3_large_fpn import mobilenet_v3_large_pyramid


def mobilenet_v3_large_320_fpn(weights="none"):
    """`mobilenet_v3_large_fpn` with the settings of torchvision's fastest detector.

    Args:
        weights: see `mobilenet_v3_large_fpn`.
    """
    defaults = {"image_size": (320, 640), "rpn_pre_nms": (2000, 150), "rpn_post_nms": (2000, 150)}
    return mobilenet_v3_large_pyramid("mobilenet_v3_large_320_fpn", weights, defaults)
