"""Convolutions that pad themselves, against zeros around the image and a convolution without padding."""

import os
import subprocess
import sys
import textwrap

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_frcnn.backbones import symmetric_convolutions


@pytest.mark.parametrize("side", [(9, 12), (8, 7)])
@pytest.mark.parametrize("size, strides", [(3, 2), (5, 2), (7, 2), (5, 1)])
@pytest.mark.parametrize("depthwise", [False, True])
def test_equals_zeros_around_and_no_padding(depthwise, size, strides, side):
    kind, filters = ("DepthwiseConv2D", ()) if depthwise else ("Conv2D", (5,))
    own = getattr(symmetric_convolutions, kind)(*filters, size, strides=strides, padding="same")
    plain = getattr(keras.layers, kind)(*filters, size, strides=strides, padding="valid")
    image = tf.random.stateless_normal([2, *side, 3], [0, 1])
    own.build(image.shape)
    plain.build(image.shape)
    values = [tf.random.stateless_normal(weight.shape, [2, 3]) for weight in plain.weights]
    answers = []
    own.set_weights(values)
    plain.set_weights(values)
    for layer, padding in ((own, 0), (plain, size // 2)):
        with tf.GradientTape() as tape:
            tape.watch(image)
            padded = tf.pad(image, [[0, 0], [padding, padding], [padding, padding], [0, 0]])
            answer = layer(padded)
            total = tf.reduce_sum(tf.sin(answer))
        gradients = tape.gradient(total, [image, *layer.trainable_variables])
        answers.append([answer, *gradients])
    assert own.compute_output_shape(image.shape) == answers[0][0].shape
    for one, other in zip(*answers, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-4)


def test_files_have_the_keys_of_keras():
    for kind in ("Conv2D", "DepthwiseConv2D"):
        assert getattr(symmetric_convolutions, kind).__name__ == getattr(keras.layers, kind).__name__


@pytest.mark.parametrize("kind", ["Conv2D", "DepthwiseConv2D"])
def test_a_bias_is_fused_where_onednn_is_on(kind):
    """TensorFlow 2.21 aborts the process where it fuses a depthwise one with explicit padding."""
    arguments = "3, 3" if kind == "Conv2D" else "3"
    program = f"""
        import keras, numpy as np, tensorflow as tf
        from keras_frcnn.backbones import symmetric_convolutions
        layer = symmetric_convolutions.{kind}({arguments}, strides=2, padding="same")
        layer.build((None, None, None, 3))
        spec = tf.TensorSpec([None, None, None, 3])
        step = tf.function(lambda x: tf.nn.relu6(layer(x)), input_signature=[spec])
        image = tf.random.stateless_normal([1, 32, 40, 3], [0, 1])
        np.testing.assert_allclose(step(image), tf.nn.relu6(layer(image)), atol=1e-5)
        print("fine")
    """
    answer = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        env={**os.environ, "TF_ENABLE_ONEDNN_OPTS": "1"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert answer.stdout.strip().endswith("fine"), answer.stderr[-2000:]
