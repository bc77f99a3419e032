"""Narrow networks of one's own, for files small enough to be kept beside the tests."""

import keras

import keras_frcnn as kf


def pyramid(widths, channels):
    """Stages of stride 2 with a feature pyramid: maps at strides 8, 16, 32 and 64.

    Args:
        widths: of the five stages.
        channels: of the pyramid.

    Returns:
        `keras.Model` with the levels P3 to P6.
    """
    images = keras.Input((None, None, 3), name="images")
    maps = _stages(images, widths)
    levels = kf.layers.FeaturePyramid(channels, extra_levels=1, name="fpn")(maps[2:])
    return keras.Model(images, {f"P{level}": one for level, one in enumerate(levels, 3)}, name="narrow_fpn")


def one_map(widths):
    """Stages of stride 2: one map at stride 16.

    Args:
        widths: of the four stages.

    Returns:
        `keras.Model` with the level C4.
    """
    images = keras.Input((None, None, 3), name="images")
    return keras.Model(images, {"C4": _stages(images, widths)[-1]}, name="narrow")


def _stages(x, widths):
    maps = []
    for stage, width in enumerate(widths, start=1):
        for index, stride in enumerate((2, 1) if stage > 2 else (2,), start=1):
            name = f"stage{stage}_{index}"
            conv = keras.layers.Conv2D(width, 3, stride, padding="same", use_bias=False, name=f"{name}_conv")
            norm = keras.layers.BatchNormalization(momentum=0.9, name=f"{name}_bn")
            x = keras.layers.ReLU(name=f"{name}_relu")(norm(conv(x)))
        maps.append(x)
    return maps
