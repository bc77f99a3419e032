"""Whole functions that XLA compiles answer as the plain ones do."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_frcnn as kf

PROPOSALS = [[5, 5, 60, 52], [40, 20, 92, 88], [0, 0, 95, 95], [10, 40, 30, 60], [-1, -1, -1, -1]]
RPN = dict(
    rpn_channels=16, rpn_pre_nms=(60, 60), rpn_post_nms=(30, 30), rpn_batch_size=1000, rpn_min_size=4.0
)
# Every proposal is drawn, so that no rounding changes which ones are.
HEAD = dict(head_units=(16,), head_batch_size=64, max_detections=12)
# The class, the levels of its network, and further arguments.
KINDS = {
    "single map": (kf.FasterRCNN, ["P4"], {"anchor_sizes": ((16, 32, 64),), **RPN, **HEAD}),
    "pyramid": (kf.FasterRCNN, ["P3", "P4"], {**RPN, **HEAD}),
    "exact pyramid": (
        kf.FasterRCNN,
        ["P3", "P4"],
        {"pooling": "exact", "class_agnostic": True, **RPN, **HEAD},
    ),
    "rpn": (kf.RPN, ["P3", "P4"], RPN),
    "fast": (kf.FastRCNN, ["P4"], HEAD),
}


def make(kind, **arguments):
    """A tiny model that is sure enough of itself to detect, and not so sure that scores are equal."""
    keras.utils.set_random_seed(1)
    method, levels, recipe = KINDS[kind]
    names = () if method is kf.RPN else (["a", "b"],)
    model = method(*names, network(levels), image_size=(96, 128), **recipe, **arguments)
    for part, layer in (("head", "class_dense"), ("rpn", "class_conv")):
        if hasattr(model, part):
            kernel = getattr(getattr(model, part), layer).kernel
            kernel.assign(30.0 * kernel)
    return model


def network(levels):
    """Plain convolutions with maps at stride 8 (P3) and 16 (P4)."""
    x = images = keras.Input((None, None, 3))
    maps = {}
    for name, stride in (("P3", 8), ("P4", 2)):
        x = maps[name] = keras.layers.Conv2D(8, 3, stride, padding="same", activation="tanh")(x)
    return keras.Model(images, {name: maps[name] for name in levels})


@pytest.fixture(scope="module")
def batch(image_of):
    images = np.stack([image_of(96, 96, seed) for seed in range(2)])
    x = {
        "images": tf.cast(images, tf.float32),
        "image_shapes": tf.constant([[96, 96], [90, 81]]),
        "proposals": tf.constant([PROPOSALS] * 2, tf.float32),
    }
    y = {
        "boxes": tf.constant([[[8.0, 8, 60, 50], [40, 20, 81, 90]]] * 2),
        "labels": tf.constant([[0, 1]] * 2),
        "ignore": tf.zeros([2, 2], tf.bool),
    }
    return x, y


def assert_same_answers(answer, expected):
    np.testing.assert_array_equal(answer["num_detections"], expected["num_detections"])
    np.testing.assert_array_equal(answer["labels"], expected["labels"])
    np.testing.assert_allclose(answer["scores"], expected["scores"], atol=1e-5)
    np.testing.assert_allclose(answer["boxes"], expected["boxes"], atol=1e-3)


@pytest.mark.parametrize(
    "kind",
    [
        "pyramid",
        "single map",
        "fast",
        *(pytest.param(k, marks=pytest.mark.slow) for k in ("rpn", "exact pyramid")),
    ],
)
def test_detections_agree(kind, batch):
    model = make(kind)
    expected = tf.function(model.infer)(batch[0])
    assert np.all(expected["num_detections"] > 3)
    assert_same_answers(tf.function(model.infer, jit_compile=True)(batch[0]), expected)


@pytest.mark.parametrize("kind", ["pyramid", "fast"])
def test_images_of_another_size_agree(kind, batch, image_of):
    """The resize and the way back to the pixels of the original are compiled too."""
    model = make(kind)
    arguments = {"proposals": batch[0]["proposals"][:1]} if kind == "fast" else {}
    image = tf.constant(image_of(110, 150)[None], tf.float32)
    detect = tf.function(lambda image: model.detect_batch(image, **arguments), jit_compile=True)
    assert_same_answers(detect(image), model.detect_batch(image, **arguments))


@pytest.mark.slow
@pytest.mark.parametrize(
    "kind",
    [
        "pyramid",
        "fast",
        *(pytest.param(kind, marks=pytest.mark.slow) for kind in ("rpn", "single map", "exact pyramid")),
    ],
)
def test_training_agrees(kind, batch):
    """The same minibatches are drawn; losses of two steps and weights after one differ by rounding alone."""
    histories, weights = [], []
    for jit_compile in (False, True):
        model = make(kind)
        model.compile(keras.optimizers.SGD(0.01, momentum=0.9))
        model.optimizer.build(model.trainable_variables)
        model.sampling_seeds.state.assign([5, 6])
        step = tf.function(model.train_step, jit_compile=jit_compile)
        first = list(step(batch).values())
        weights.append(model.get_weights())
        histories.append([first, list(step(batch).values())])
    np.testing.assert_allclose(*histories, rtol=1e-4)
    for plain, compiled in zip(*weights):
        np.testing.assert_allclose(plain, compiled, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_fit_with_jit_compile(batch):
    """In half precision, with a batch without objects; `predict` still takes images of several shapes."""
    x, y = batch
    model = make("pyramid", dtype="mixed_float16")
    model.compile(keras.optimizers.SGD(0.01), jit_compile=True)
    empty = {**y, "labels": -tf.ones_like(y["labels"])}
    data = tf.data.Dataset.from_tensors((x, y)).concatenate(tf.data.Dataset.from_tensors((x, empty)))
    history = model.fit(data, validation_data=data, verbose=0).history
    assert model.jit_compile and len(history) == 12
    assert all(np.isfinite(values) for values in history.values())
    assert model.predict(x, verbose=0)["num_detections"].shape == (2,)


def test_without_being_asked_for_nothing_is_compiled(batch):
    model = make("rpn")
    assert model.jit_compile is False
    model.compile()
    assert model.jit_compile is False


@pytest.mark.slow
@pytest.mark.parametrize("kind", [pytest.param("single map", marks=pytest.mark.slow), "pyramid"])
def test_neither_objects_nor_proposals(kind, batch):
    x, y = batch
    nothing = {name: value[:, :0] for name, value in y.items()}
    model = make(kind, rpn_score_threshold=1.0)
    model.compile()
    model.optimizer.build(model.trainable_variables)
    logs = tf.function(model.train_step, jit_compile=True)((x, nothing))
    assert all(np.isfinite(value) for value in logs.values()) and logs["box_loss"] == 0
    answer = tf.function(model.infer, jit_compile=True)(x)
    np.testing.assert_array_equal(answer["num_detections"], [0, 0])
    np.testing.assert_array_equal(answer["boxes"], np.full([2, 12, 4], -1.0))


@pytest.mark.slow
def test_a_real_network_agrees(make_model, batch):
    model = make_model()
    model.head.class_dense.kernel.assign(0.1 * model.head.class_dense.kernel)
    expected = tf.function(model.infer)(batch[0])
    assert_same_answers(tf.function(model.infer, jit_compile=True)(batch[0]), expected)
