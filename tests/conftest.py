"""What every test shares."""

import gc
import os
import pathlib

# Before TensorFlow is imported anywhere: later it has no effect.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_frcnn as kf
from keras_frcnn.data.readers import shapes

kf.keep_memory()
# The collector need not go through everything that the imports made, again and again while graphs are traced.
gc.freeze()
gc.set_threshold(100_000, 50, 50)

# With -n, rooms whose files take long come first, so that the processes end together.
LONG = ("models", "export", "training", "weights", "commands")
STORED = pathlib.Path(__file__).parent / "stored"
RECIPE = dict(
    image_size=(96, 128),
    anchor_sizes=(24, 48, 96),
    rpn_channels=16,
    rpn_pre_nms=(100, 50),
    rpn_post_nms=(50, 20),
    rpn_batch_size=32,
    head_batch_size=16,
    head_units=(32, 32),
    max_detections=12,
)


def pytest_collection_modifyitems(items):
    """Order the files; a run that the commands share is made at once, and used when it is there."""

    def turn(item):
        room = item.path.parent.name
        if (room, item.path.name) == ("commands", "test_train.py"):
            return -1
        return LONG.index(room) if room in LONG else len(LONG)

    items.sort(key=turn)


@pytest.fixture(scope="session")
def shared():
    """The folder of real data beside the repository, as a pathlib.Path."""
    path = pathlib.Path(__file__).resolve().parents[2] / "shared"
    if not path.is_dir():
        message = "the folder of real data (../shared beside the repository) is not here"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)
    return path


def small_pyramid():
    """A network that is traced in half the time of `tiny_fpn`: maps at strides 8, 16 and 32."""
    images = x = keras.Input((None, None, 3))
    maps = []
    for stage, width in enumerate((8, 16, 24, 32), start=1):
        conv = keras.layers.Conv2D(width, 3, 2, "same", use_bias=False, name=f"stage{stage}_conv")
        norm = keras.layers.BatchNormalization(momentum=0.9, name=f"stage{stage}_bn")
        x = keras.layers.ReLU(name=f"stage{stage}_relu")(norm(conv(x)))
        maps.append(x)
    levels = kf.layers.FeaturePyramid(16, name="fpn")(maps[2:])
    return keras.Model(images, {f"P{level}": one for level, one in enumerate(levels, 3)}, name="small")


@pytest.fixture(scope="session")
def small_network():
    """The function `small_pyramid`."""
    return small_pyramid


@pytest.fixture(scope="session")
def recipe():
    """Arguments of a model so small that its tests take seconds."""
    return RECIPE


@pytest.fixture(scope="session")
def make_model():
    """A function that makes a tiny model whose untrained head is sure enough of itself to detect."""

    def make(class_names=("red cell", "plate"), **arguments):
        keras.utils.set_random_seed(3)
        model = kf.FasterRCNN(class_names, **{"backbone": small_pyramid(), **RECIPE, **arguments})
        for kernel, scale in ((model.head.class_dense.kernel, 100.0), (model.head.box_dense.kernel, 300.0)):
            kernel.assign(kernel * scale)
        return model

    return make


@pytest.fixture(scope="session")
def set_back():
    """A function from a compiled model to one that gives it the variables of now again.

    Tests share the model and so its traced training step, which takes seconds to make.
    """

    def note(model):
        model.optimizer.build(model.trainable_variables)
        known = [(variable, variable.numpy()) for variable in model.variables + model.optimizer.variables]

        def restore():
            for variable, value in known:
                variable.assign(value)
            return model

        return restore

    return note


@pytest.fixture(scope="session", params=["pyramid", "one_map"])
def trained(request):
    """A small detector that was really trained, on the shapes (`stored/train_small.py`)."""
    return keras.saving.load_model(STORED / "trained" / f"{request.param}.keras")


@pytest.fixture(scope="session")
def scenes():
    """Twelve scenes that it has not seen: a data set."""
    return shapes.load("val", 12)


@pytest.fixture(scope="session")
def image_of():
    """A function from (height, width) to an image of coarse random patches."""

    def make(height, width, seed=0):
        patches = np.random.default_rng(seed).integers(0, 256, (1, 6, 7, 3))
        return tf.cast(tf.image.resize(patches, (height, width), "nearest")[0], tf.uint8).numpy()

    return make


@pytest.fixture(scope="session")
def assert_same():
    """A function that compares two answers of `detect`."""

    def compare(actual, expected):
        assert len(actual["scores"]) == len(expected["scores"])
        np.testing.assert_allclose(actual["boxes"], expected["boxes"], atol=0.05)
        np.testing.assert_allclose(actual["scores"], expected["scores"], atol=1e-4)
        np.testing.assert_array_equal(actual["labels"], expected["labels"])

    return compare


@pytest.fixture(scope="session")
def from_contract():
    """A function: an answer of a signature, a row and (height, width) of its image, as `detect` words it."""

    def convert(answer, row, shape):
        count = int(answer["num_detections"][row])
        ymin, xmin, ymax, xmax = np.asarray(answer["detection_boxes"])[row, :count].T
        height, width = shape
        return {
            "boxes": np.stack([xmin * width, ymin * height, xmax * width, ymax * height], axis=-1),
            "scores": np.asarray(answer["detection_scores"])[row, :count],
            "labels": np.asarray(answer["detection_classes"])[row, :count] - 1,
        }

    return convert


@pytest.fixture(scope="session")
def make_batches(image_of):
    """A function that makes a data set of `count` batches of two images with two objects each."""

    def make(count=2, boxes=((8, 8, 60, 50), (40, 20, 90, 90)), labels=(0, 1), ignore=(False, False)):
        images = np.stack([image_of(96, 96, seed) for seed in range(2)]).astype("float32")
        x = {"images": images, "image_shapes": np.int32([[96, 96]] * 2)}
        y = {
            "boxes": np.float32([np.reshape(boxes, [-1, 4])] * 2),
            "labels": np.int32([labels] * 2),
            "ignore": np.array([ignore] * 2, bool),
        }
        return tf.data.Dataset.from_tensors((x, y)).repeat(count)

    return make
