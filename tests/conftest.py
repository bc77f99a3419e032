"""What every test shares."""

import gc
import importlib.util
import os
import pathlib
import zipfile

# Before TensorFlow is imported anywhere: later it has no effect.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_frcnn as kf
from keras_frcnn.data.readers import shapes
from keras_frcnn.downloads import transfer

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


def pytest_runtest_teardown(item, nextitem):
    """Collect the models of slow tests, which hold gigabytes in cycles, before the next file begins."""
    if item.get_closest_marker("slow") and (nextitem is None or nextitem.path != item.path):
        gc.collect()


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


@pytest.fixture
def server():
    """A server on the loopback (`loopback.py`)."""
    spec = importlib.util.spec_from_file_location("loopback", STORED.with_name("loopback.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    serving = module.Server()
    yield serving
    serving.close()


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty cache of published files, as a pathlib.Path; no test sees that of the user."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.delenv("KERAS_FRCNN_WEIGHTS_URL", raising=False)
    monkeypatch.setattr(transfer, "PAUSE", 0.0)
    return tmp_path / "keras/models"


@pytest.fixture(scope="session")
def torch_file():
    """A function that writes arrays as PyTorch writes a state dict; it returns nothing."""

    def write(path, arrays):
        program = b"\x80\x02}("
        with zipfile.ZipFile(path, "w") as file:
            for key, (name, array) in enumerate(arrays.items()):
                kind = {"float32": "FloatStorage", "int64": "LongStorage"}[array.dtype.name]
                strides = [step // array.itemsize for step in array.strides]
                program += b"".join(
                    [
                        *(_text(name), b"ctorch._utils\n_rebuild_tensor_v2\n(("),
                        *(_text("storage"), f"ctorch\n{kind}\n".encode(), _text(str(key)), _text("cpu")),
                        *(_number(array.size), b"tQK\x00"),
                        *(b"(", *map(_number, array.shape), b"t(", *map(_number, strides), b"t\x89}tR"),
                    ]
                )
                file.writestr(f"made/data/{key}", array.tobytes())
            file.writestr("made/data.pkl", program + b"u.")
            file.writestr("made/byteorder", "little")

    return write


def _text(text):
    """The operation of a pickle that makes a str."""
    return b"X" + len(text.encode()).to_bytes(4, "little") + text.encode()


def _number(number):
    """The operation of a pickle that makes an int."""
    return b"J" + int(number).to_bytes(4, "little")


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
