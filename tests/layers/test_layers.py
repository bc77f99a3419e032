"""What holds for every layer: its configuration is its constructor, it foretells its shapes and dtypes."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_frcnn import layers

MAPS = [(2, 9, 13, 4), (2, 5, 7, 4)]
LEVELS = {"strides": [8, 16], "canonical_size": 112.0, "canonical_level": 3}
SAMPLING = {**LEVELS, "pool_size": 3, "samples": 1, "aligned": False}

# Every argument away from its default, and the shapes of the call.
CASES = {
    "anchors": (
        layers.AnchorGenerator,
        {
            "sizes": [[16, 32], [32, 64]],
            "strides": [8, 16],
            "ratios": [1.0, 2.0],
            "offset": 0.0,
            "rounding": "torchvision",
        },
        [MAPS],
    ),
    "rpn": (
        layers.RegionProposalNetwork,
        {
            "anchors": layers.AnchorGenerator((16, 32), (8, 16)),
            "channels": 8,
            "objectness": "sigmoid",
            "pre_nms": (30, 20),
            "post_nms": (10, 5),
            "nms_iou": 0.6,
            "min_size": 2.0,
            "coder_weights": (2.0, 2.0, 1.0, 1.0),
            "min_size_first": True,
        },
        [MAPS],
    ),
    "roi_align": (layers.RoIAlign, SAMPLING, [MAPS, (2, 6, 4)]),
    "roi_pooling": (layers.RoIPooling, SAMPLING, [MAPS, (2, 6, 4)]),
    "exact_roi_pooling": (
        layers.ExactRoIPooling,
        {**LEVELS, "pool_size": 3, "bins": "partition", "corners": "half_open"},
        [MAPS, (2, 6, 4)],
    ),
    "spatial_pyramid_pooling": (
        layers.SpatialPyramidPooling,
        {**LEVELS, "levels": [1, 2], "corners": "centers", "offset": 0.25},
        [MAPS, (2, 6, 4)],
    ),
    "head": (
        layers.DetectionHead,
        {
            "num_classes": 3,
            "units": (7, 5),
            "dropout": 0.1,
            "class_agnostic": True,
            "ranks": (4, None),
            "normalized": True,
            "boxes_from": "pooled",
        },
        [(2, 6, 3, 3, 4)],
    ),
    "fpn": (layers.FeaturePyramid, {"channels": 6, "extra_levels": 2}, [MAPS]),
    "pixels": (layers.PixelNormalization, {"preprocessing": "torch", "multiple": 8}, [(2, 9, 13, 3), (2, 2)]),
}
EVERY = pytest.mark.parametrize("name", CASES)


def dtype_of(shape):
    return "int32" if shape == (2, 2) else "float32"


def tensor(shape):
    return tf.ones(shape, dtype_of(shape))


def symbol_of(shape):
    return keras.KerasTensor((None, *shape[1:]), dtype_of(shape))


def arguments_of(shapes, make):
    return [[make(one) for one in shape] if isinstance(shape, list) else make(shape) for shape in shapes]


def test_no_layer_is_left_out():
    assert {kind.__name__ for kind, _, _ in CASES.values()} == set(layers.__all__)


@EVERY
def test_configuration_round_trip(name):
    kind, arguments, _ = CASES[name]
    layer = kind(**arguments, name="mine", dtype="mixed_bfloat16")
    config = layer.get_config()
    for argument, value in arguments.items():
        if argument != "anchors":
            assert config[argument] == value
    clone = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    assert type(clone) is kind and clone.name == "mine" and clone.dtype_policy.name == "mixed_bfloat16"
    assert clone.get_config() == config


@EVERY
@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
def test_symbolic_shapes_and_dtypes_are_the_real_ones(name, policy):
    kind, arguments, shapes = CASES[name]
    layer = kind(**arguments, dtype=policy)
    answers = tf.nest.flatten(layer(*arguments_of(shapes, tensor)))
    symbols = tf.nest.flatten(layer(*arguments_of(shapes, symbol_of)))
    assert len(answers) == len(symbols)
    for answer, symbol in zip(answers, symbols):
        assert symbol.dtype == answer.dtype.name
        assert len(symbol.shape) == answer.shape.rank
        assert all(said in (None, real) for said, real in zip(symbol.shape, answer.shape))


# The RPN gives a dict: compute_output_spec, which the test above calls, says all.
@pytest.mark.parametrize("name", [name for name in CASES if name != "rpn"])
def test_compute_output_shape(name):
    kind, arguments, shapes = CASES[name]
    layer = kind(**arguments)
    answers = tf.nest.flatten(layer(*arguments_of(shapes, tensor)))
    said = layer.compute_output_shape(*shapes)
    said = [said] if len(answers) == 1 else said
    for shape, answer in zip(said, answers, strict=True):
        assert len(shape) == answer.shape.rank
        assert all(one in (None, real) for one, real in zip(shape, np.shape(answer)))
