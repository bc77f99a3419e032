"""The head of Fast R-CNN."""

import re

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_frcnn.layers import DetectionHead

POOLED = tf.random.stateless_normal([2, 3, 4, 4, 5], (0, 0))


@pytest.mark.parametrize("class_agnostic, boxes", [(False, 6), (True, 1)])
def test_shapes(class_agnostic, boxes):
    logits, deltas = DetectionHead(6, units=(8, 9), class_agnostic=class_agnostic)(POOLED)
    assert logits.shape == (2, 3, 7)
    assert deltas.shape == (2, 3, boxes, 4)


def test_equals_its_dense_layers():
    head = DetectionHead(6, units=(8, 9))
    logits, deltas = head(POOLED)
    weights = {weight.path.split("/", 1)[-1]: weight.numpy() for weight in head.weights}
    features = POOLED.numpy().reshape(6, -1)
    for name in ("fc6", "fc7"):
        features = np.maximum(features @ weights[f"{name}/kernel"] + weights[f"{name}/bias"], 0)
    for answer, name in ((logits, "class_predictor"), (deltas, "box_predictor")):
        expected = features @ weights[f"{name}/kernel"] + weights[f"{name}/bias"]
        np.testing.assert_allclose(tf.reshape(answer, [6, -1]), expected, rtol=1e-4, atol=1e-6)


def test_dropout_acts_in_training_only():
    head = DetectionHead(2, units=(64,), dropout=0.5)
    np.testing.assert_array_equal(head(POOLED)[0], head(POOLED, training=False)[0])
    assert np.any(head(POOLED, training=True)[0] != head(POOLED, training=True)[0])


def conv5():
    inputs = keras.Input((None, None, 5))
    return keras.Model(inputs, keras.layers.Conv2D(7, 3, strides=2, padding="same")(inputs))


def test_a_given_network_takes_the_place_of_the_dense_layers():
    network = conv5()
    head = DetectionHead(2, network=network)
    logits, _ = head(POOLED)
    features = tf.reduce_mean(network(tf.reshape(POOLED, [6, 4, 4, 5])), axis=[1, 2])
    np.testing.assert_allclose(tf.reshape(logits, [6, 3]), head.class_dense(features), rtol=1e-5, atol=1e-6)
    assert not any("fc6" in weight.path for weight in head.weights)
    assert any(weight is network.weights[0] for weight in head.trainable_weights)


@pytest.mark.parametrize("network", [None, conv5])
def test_part_of_a_functional_model_that_is_saved(network, tmp_path):
    inputs = keras.Input((None, 4, 4, 5))
    model = keras.Model(inputs, DetectionHead(2, units=(8,), network=network and network())(inputs))
    model.save(tmp_path / "head.keras")
    loaded = keras.saving.load_model(tmp_path / "head.keras")
    for before, after in zip(model(POOLED), loaded(POOLED)):
        np.testing.assert_array_equal(before, after)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_answers_are_float32_under_mixed_precision(policy):
    head = DetectionHead(2, units=(8,), dtype=policy)
    symbols, answers = head(keras.Input((None, 4, 4, 5))), head(POOLED)
    assert [answer.dtype for answer in answers] == [tf.float32] * 2
    assert [symbol.dtype for symbol in symbols] == ["float32"] * 2
    assert head.dense[0][0](tf.zeros([1, 80])).dtype == policy.removeprefix("mixed_")


def test_convolutions_before_the_dense_layers():
    head = DetectionHead(2, units=(8,), convs=(6, 7))
    logits, _ = head(POOLED)
    maps = tf.reshape(POOLED, [6, 4, 4, 5])
    for conv, norm in zip(head.convs, head.norms, strict=True):
        maps = tf.nn.relu(norm(conv(maps)))
    features = head.dense[0][0](tf.reshape(maps, [6, -1]))
    np.testing.assert_allclose(tf.reshape(logits, [6, 3]), head.class_dense(features), rtol=1e-4, atol=1e-6)
    again = DetectionHead.from_config(head.get_config())
    again.build(POOLED.shape)
    assert [weight.shape for weight in again.weights] == [weight.shape for weight in head.weights]


@pytest.mark.parametrize(
    "arguments, sentence",
    [
        ({"ranks": (4,)}, "ranks (4,) do not fit 2 layers; give one each."),
        ({"boxes_from": "fc6"}, "Unknown boxes_from 'fc6'; use 'dense' or 'pooled'."),
    ],
)
def test_refused(arguments, sentence):
    with pytest.raises(ValueError, match=re.escape(sentence)):
        DetectionHead(2, units=(8, 9), **arguments)


def test_nothing_reads_the_box_of_the_background():
    head = DetectionHead(2, units=(8,), background_box=True)
    logits, deltas = head(POOLED)
    assert head.compute_output_shape(POOLED.shape) == (logits.shape, deltas.shape)
    assert deltas.shape == (2, 3, 2, 4) and head.box_dense.units == 12
    kernel, bias = head.box_dense.get_weights()
    head.box_dense.set_weights([np.concatenate([9 + kernel[:, :4], kernel[:, 4:]], axis=1), bias])
    np.testing.assert_array_equal(head(POOLED)[1], deltas)


@pytest.mark.parametrize("class_agnostic", [False, True])
def test_output_shapes_are_foretold(class_agnostic):
    head = DetectionHead(6, units=(8,), class_agnostic=class_agnostic)
    assert head.compute_output_shape(POOLED.shape) == tuple(tuple(answer.shape) for answer in head(POOLED))


def dense_weights(*units):
    """Pairs of kernel and bias for fully connected layers of these widths on `POOLED`."""
    random, widths = np.random.default_rng(0), (80, *units)
    return [
        (random.normal(size=shape).astype("float32"), random.normal(size=shape[1:]).astype("float32"))
        for shape in zip(widths, widths[1:])
    ]


def test_pretrained_dense_layers_arrive_bit_for_bit():
    head, weights = DetectionHead(2, units=(8, 9)), dense_weights(8, 9)
    head.build(POOLED.shape)
    head.load_dense(weights, "a file")
    for (layer,), pair in zip(head.dense, weights, strict=True):
        for ours, theirs in zip(layer.get_weights(), pair, strict=True):
            np.testing.assert_array_equal(ours, theirs)
        assert layer.weights_source == "a file"


@pytest.mark.parametrize(
    "units, ranks", [((8, 7), None), ((8,), None), ((8, 9, 9), None), ((), None), ((8, 9), (4, None))]
)
def test_dense_layers_that_do_not_fit_are_left_alone(units, ranks):
    head = DetectionHead(2, units=(8, 9), ranks=ranks)
    head.build(POOLED.shape)
    before = head.get_weights()
    head.load_dense(dense_weights(*units), "a file")
    for ours, untouched in zip(head.get_weights(), before, strict=True):
        np.testing.assert_array_equal(ours, untouched)
    assert not any(hasattr(layer, "weights_source") for layers in head.dense for layer in layers)
