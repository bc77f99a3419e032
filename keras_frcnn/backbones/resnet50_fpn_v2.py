"""ResNet-50 with a feature pyramid, as in torchvision's `fasterrcnn_resnet50_fpn_v2`."""

from keras_frcnn.backbones.resnet50_fpn import resnet50_pyramid


def resnet50_fpn_v2(weights="none"):
    """`resnet50_fpn` with batch normalization in the pyramid, two convolutions in the RPN and a head of four
    convolutions and one fully connected layer (torchvision pull request #5763).

    Args:
        weights: see `resnet50_fpn`.
    """
    defaults = {
        "rpn_depth": 2,
        "head_convs": (256, 256, 256, 256),
        "head_units": (1024,),
        "frozen_batch_norm": False,  # unlike the other three, this one trains its normalization
    }
    return resnet50_pyramid("resnet50_fpn_v2", weights, batch_norm=True, defaults=defaults)
