"""Floating-point operations against numbers worked out by hand, and those that are known of two detectors."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_frcnn as kf


@pytest.fixture
def counted(benchmark_module):
    return benchmark_module("measures.arithmetic").counted


@pytest.fixture
def network():
    """A frozen and a trainable convolution, one by depth, and a dense layer."""
    layers = [
        keras.layers.Conv2D(4, 3, padding="same", trainable=False),
        keras.layers.Conv2D(6, 1, strides=2),
        keras.layers.DepthwiseConv2D(3, padding="valid"),
        keras.layers.Flatten(),
        keras.layers.Dense(5),
    ]
    return keras.Sequential([keras.Input((8, 10, 3)), *layers])


# Positions of the output times numbers of the kernel, of two images.
FROZEN = 2 * (8 * 10) * (3 * 3 * 3 * 4)
POINTWISE = 2 * (4 * 5) * (4 * 6)
DEPTHWISE = 2 * (2 * 3) * (3 * 3 * 6)
DENSE = 2 * (2 * 3 * 6) * 5


def test_forward(counted, network):
    with counted() as arithmetic:
        network(tf.zeros([2, 8, 10, 3]))
    assert arithmetic.forward == 2 * (FROZEN + POINTWISE + DEPTHWISE + DENSE)


def test_step_has_gradients_of_what_trains_only(counted, network):
    with counted() as arithmetic:
        network(tf.zeros([2, 8, 10, 3]))
    # The input of the first layer that trains has no gradient either.
    assert arithmetic.step == 2 * (FROZEN + 2 * POINTWISE + 3 * DEPTHWISE + 3 * DENSE)


def test_nothing_is_counted_afterwards(counted, network):
    with counted() as arithmetic:
        pass
    network(tf.zeros([1, 8, 10, 3]))
    assert arithmetic.forward == 0


@pytest.mark.parametrize(
    "backbone, size, known",
    [
        ("mobilenet_v3_large_320_fpn", (320, 426), 6.3e9),
        pytest.param("resnet50_fpn", (800, 1066), 355e9, marks=pytest.mark.slow),
    ],
)
def test_known_detectors(counted, backbone, size, known):
    """As counted with torchvision: all proposals, and sides padded to multiples of 32."""
    model = kf.FasterRCNN([f"class {index}" for index in range(90)], backbone=backbone, rpn_score_threshold=0)
    pixels = np.random.default_rng(0).uniform(0, 255, (1, *size, 3))
    with counted() as arithmetic:
        model.infer({"images": tf.constant(pixels, tf.float32), "image_shapes": tf.constant([size])})
    assert arithmetic.forward == pytest.approx(known, rel=0.04)
