"""ONNX Runtime computes what Keras computes, layer by layer."""

import keras
import numpy as np
import pytest

import keras_frcnn as kf
from keras_frcnn import backbones
from keras_frcnn.onnx_writer.graph import OnnxGraph
from keras_frcnn.onnx_writer.network import write_layer, write_network

pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")


def conv_model():
    inputs = keras.Input((None, None, 4))
    return inputs, keras.layers.Conv2D(4, 3)(inputs)


LAYERS = {
    "same": lambda: keras.layers.Conv2D(5, 3, padding="same", activation="relu"),
    "strided": lambda: keras.layers.Conv2D(5, 3, 2, padding="same", activation="silu"),
    "even": lambda: keras.layers.Conv2D(5, 4, padding="same", use_bias=False),
    "dilated": lambda: keras.layers.Conv2D(5, 3, dilation_rate=2, padding="same", activation="tanh"),
    "grouped": lambda: keras.layers.Conv2D(6, 3, groups=2),
    "depthwise": lambda: keras.layers.DepthwiseConv2D(3, 2, padding="same", depth_multiplier=2),
    "norm": lambda: keras.layers.BatchNormalization(),
    "relu6": lambda: keras.layers.ReLU(6.0),
    "hard_sigmoid": lambda: keras.layers.Activation("hard_sigmoid"),
    "hard_swish": lambda: keras.layers.Activation("hard_silu"),
    "padded": lambda: keras.layers.ZeroPadding2D(((1, 2), (0, 3))),
    "max_pool": lambda: keras.layers.MaxPooling2D(3, 2, padding="same"),
    "average_pool": lambda: keras.layers.AveragePooling2D(2),
    "global": lambda: keras.layers.GlobalAveragePooling2D(keepdims=True),
    "layer_norm": lambda: keras.layers.LayerNormalization(epsilon=1e-3),
    "layer_norm_alone": lambda: keras.layers.LayerNormalization(center=False, scale=False),
    "rescaling": lambda: keras.layers.Rescaling([1.0, 2.0, 3.0, 4.0], offset=-0.5),
    "normalization": lambda: keras.layers.Normalization(
        mean=[1.0, 0.5, 2.0, 3.0], variance=[1.0, 4.0, 2.0, 0.5]
    ),
    "inverted": lambda: keras.layers.Normalization(mean=0.3, variance=0.7, invert=True),
    "dense": lambda: keras.layers.Dense(5, activation="gelu"),
    "dense_without_bias": lambda: keras.layers.Dense(5, use_bias=False),
    "in_sequence": lambda: keras.Sequential([keras.layers.ReLU(), keras.layers.Conv2D(5, 3)]),
    "model_in_sequence": lambda: keras.Sequential([keras.Model(*conv_model()), keras.layers.ReLU()]),
    "dropout": lambda: keras.layers.Dropout(0.5),
}


def computed(network, images):
    """What ONNX Runtime gives for a network, in the order of Keras."""
    graph = OnnxGraph()
    channels_first = graph.Transpose("images", perm=[0, 3, 1, 2])
    names = write_network(graph, network, channels_first)
    outputs = {graph.Transpose(name, perm=[0, 2, 3, 1]): ("FLOAT", [None] * 4) for name in names}
    model = graph.model({"images": ("FLOAT", ["b", "h", "w", images.shape[-1]])}, outputs, {})
    session = onnxruntime.InferenceSession(model.SerializeToString())
    return session.run(list(outputs), {"images": images})


def randomized(network):
    random = np.random.default_rng(0)
    for weight in network.weights:
        weight.assign(random.uniform(0.1, 0.6, weight.shape))
    return network


@pytest.mark.parametrize("name", LAYERS)
def test_layer(name):
    images = np.random.default_rng(1).normal(size=(2, 9, 12, 4)).astype("float32")
    inputs = keras.Input((None, None, 4))
    network = randomized(keras.Model(inputs, LAYERS[name]()(inputs)))
    (found,) = computed(network, images)
    np.testing.assert_allclose(found, network(images, training=False), atol=2e-5)


def test_squeeze_and_excitation_and_a_sum():
    inputs = keras.Input((None, None, 4))
    squeezed = keras.layers.Reshape((1, 1, 4))(keras.layers.GlobalAveragePooling2D()(inputs))
    scale = keras.layers.Conv2D(4, 1, activation="sigmoid")(squeezed)
    network = randomized(keras.Model(inputs, inputs * scale + keras.layers.Conv2D(4, 1)(inputs)))
    images = np.random.default_rng(1).normal(size=(2, 9, 12, 4)).astype("float32")
    np.testing.assert_allclose(computed(network, images)[0], network(images), atol=2e-5)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["EfficientNetV2B0", "ConvNeXtTiny", "DenseNet121", "MobileNetV3Small"])
def test_networks_of_keras(name):
    network = getattr(keras.applications, name)(include_top=False, weights=None, input_shape=(None, None, 3))
    backbone = backbones.pyramid(network, (3, 4, 5, 6), channels=16)
    images = np.random.default_rng(1).uniform(0, 255, (2, 64, 128, 3)).astype("float32")
    for found, expected in zip(computed(backbone.network, images), backbone.network(images), strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-4 * np.abs(expected).max())


def test_branches_and_a_network_inside():
    inputs = keras.Input((None, None, 4))
    inner = keras.Model(inputs, keras.layers.Conv2D(4, 3, padding="same")(inputs))
    left, right = inner(inputs), keras.layers.Conv2D(4, 1)(inputs)
    scale = keras.ops.mean(left, axis=(1, 2), keepdims=True)
    outputs = [
        keras.layers.Add()([left, right]),
        keras.layers.Multiply()([right, scale]),
        keras.layers.Concatenate()([left, right]),
    ]
    network = randomized(keras.Model(inputs, outputs))
    images = np.random.default_rng(1).normal(size=(1, 6, 8, 4)).astype("float32")
    for found, expected in zip(computed(network, images), network(images), strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("name", ["tiny_fpn", "mobilenet_v3_large_320_fpn"])
def test_backbone(name):
    network = backbones.get(name, "none").network
    images = np.random.default_rng(1).normal(size=(1, 72, 104, 3)).astype("float32")
    for found, expected in zip(computed(network, images), network(images, training=False), strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-4)


@pytest.mark.parametrize("height, width", [(1, 1), (7, 9), (8, 10)])
def test_pyramid_of_odd_sides(height, width):
    shapes = [(2 * height - height % 2, 2 * width - width % 2), (height, width), (height, width)]
    inputs = [keras.Input((*shape, 4)) for shape in shapes]
    pyramid = kf.layers.FeaturePyramid(3, extra_levels=1, batch_norm=True)
    network = randomized(keras.Model(inputs, pyramid(inputs)))
    graph = OnnxGraph()
    names = write_layer(graph, pyramid, "a", "b", "c")
    maps = [np.random.default_rng(1).normal(size=(1, *shape, 4)).astype("float32") for shape in shapes]
    model = graph.model(
        {name: ("FLOAT", [1, 4, None, None]) for name in "abc"},
        {name: ("FLOAT", [1, 3, None, None]) for name in names},
        {},
    )
    session = onnxruntime.InferenceSession(model.SerializeToString())
    given = {name: one.transpose(0, 3, 1, 2) for name, one in zip("abc", maps)}
    for found, expected in zip(session.run(names, given), network(maps), strict=True):
        np.testing.assert_allclose(found.transpose(0, 2, 3, 1), expected, atol=1e-5)


def test_refuses_what_it_does_not_know():
    inputs, images = keras.Input((8, 8, 4)), np.zeros([1, 8, 8, 4], "float32")
    with pytest.raises(ValueError, match="is a GaussianNoise, which cannot be written as ONNX"):
        computed(keras.Model(inputs, keras.layers.GaussianNoise(1.0)(inputs)), images)
    with pytest.raises(ValueError, match="Activation softplus cannot be written"):
        computed(keras.Model(inputs, keras.layers.Conv2D(2, 1, activation="softplus")(inputs)), images)
