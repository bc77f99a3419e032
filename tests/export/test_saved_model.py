"""The SavedModel answers as the model does, whatever way the images come in."""

import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

import keras_frcnn as kf
from keras_frcnn import export
from keras_frcnn import images as image_ops
from keras_frcnn.export.settings import with_settings

CLASS_NAMES = ["red cell", "weiß", "plate"]
ROWS = 12
SHAPES = {"landscape": (90, 130), "portrait": (151, 80), "square": (64, 64)}
NAMES = {"detection_boxes", "detection_scores", "detection_classes", "num_detections"}


@pytest.fixture(scope="module", params=[False, True], ids=["plain", "canvas"])
def exported(request, make_model, tmp_path_factory):
    """A compiled model, the folder of its export and the SavedModel loaded from it."""
    model = make_model(CLASS_NAMES, canvas=request.param)
    model.compile("adam")
    model.optimizer.build(model.trainable_variables)
    path = tmp_path_factory.mktemp("exported") / "cells" / "1"
    model.export(path)
    return model, path, tf.saved_model.load(str(path))


@pytest.fixture(scope="module")
def served(exported):
    return export.load(exported[1])


def png(image):
    return tf.io.encode_png(image).numpy()


def serve_bytes(loaded, contents):
    return numpy_of(loaded.signatures["serving_bytes"](image_bytes=tf.constant(contents, tf.string)))


def serve_images(loaded, images):
    return numpy_of(loaded.signatures["serving_default"](input_tensor=tf.constant(images, tf.uint8)))


def numpy_of(answer):
    return {name: value.numpy() for name, value in answer.items()}


def from_contract(answer, row, shape):
    """The answer for one image in the words of `detect`."""
    count = int(answer["num_detections"][row])
    ymin, xmin, ymax, xmax = answer["detection_boxes"][row, :count].T
    height, width = shape
    return {
        "boxes": np.stack([xmin * width, ymin * height, xmax * width, ymax * height], axis=-1),
        "scores": answer["detection_scores"][row, :count],
        "labels": answer["detection_classes"][row, :count] - 1,
    }


def assert_contract(answer, batch):
    assert {value.dtype for value in answer.values()} == {np.dtype("float32")}
    assert answer["detection_boxes"].shape == (batch, ROWS, 4)
    assert answer["detection_scores"].shape == answer["detection_classes"].shape == (batch, ROWS)
    assert answer["num_detections"].shape == (batch,)
    filled = np.arange(ROWS) < answer["num_detections"][:, None]
    boxes, classes = answer["detection_boxes"], answer["detection_classes"]
    assert boxes.min(initial=0.0) >= 0.0 and boxes.max(initial=0.0) <= 1.0
    assert np.all(boxes[..., 2:] >= boxes[..., :2])
    assert np.all((classes >= 1) & (classes <= len(CLASS_NAMES)))
    assert not boxes[~filled].any() and not answer["detection_scores"][~filled].any()
    assert np.all(classes[~filled] == 1)


@pytest.mark.parametrize("name", SHAPES)
def test_one_image_every_way(exported, served, name, image_of, assert_same):
    model, _, loaded = exported
    image = image_of(*SHAPES[name], seed=3)
    expected = model.detect(image)
    assert len(expected["scores"]) > 3 and len(set(expected["labels"])) > 1

    height, width = image_ops.resized_shape(*SHAPES[name], model.image_size)
    pixels = image_ops.resize(image, (height, width))
    if model.canvas:
        pixels = image_ops.pad(pixels, model.resizing.canvas_side, model.resizing.canvas_side)
    x = {"images": pixels[None].numpy(), "image_shapes": np.int32([[height, width]])}
    answer = model.predict(x, verbose=0)
    count = answer["num_detections"][0]
    predicted = {key: answer[key][0, :count] for key in ("boxes", "scores", "labels")}
    predicted["boxes"] = predicted["boxes"] * np.tile(np.float32(SHAPES[name])[::-1] / [width, height], 2)
    assert_same(predicted, expected)

    assert_same(from_contract(serve_images(loaded, image[None]), 0, SHAPES[name]), expected)
    assert_same(from_contract(serve_bytes(loaded, [png(image)]), 0, SHAPES[name]), expected)
    assert_same(served.detect(image), expected)


@pytest.mark.parametrize("batch", [1, 2, 5])
def test_batches_of_one_shape(exported, batch, image_of, assert_same):
    model, _, loaded = exported
    images = np.stack([image_of(70, 100, seed) for seed in range(batch)])
    from_images = serve_images(loaded, images)
    from_bytes = serve_bytes(loaded, [png(image) for image in images])
    assert_contract(from_images, batch)
    assert set(from_images) == NAMES and set(from_bytes) == NAMES | {"image_ok"}
    for row, image in enumerate(images):
        expected = model.detect(image)
        assert_same(from_contract(from_images, row, (70, 100)), expected)
        assert_same(from_contract(from_bytes, row, (70, 100)), expected)


def test_batch_of_mixed_shapes(exported, image_of, assert_same):
    model, _, loaded = exported
    images = {name: image_of(*shape, seed) for seed, (name, shape) in enumerate(SHAPES.items())}
    answer = serve_bytes(loaded, [png(image) for image in images.values()])
    assert_contract({name: answer[name] for name in NAMES}, 3)
    np.testing.assert_array_equal(answer["image_ok"], [1, 1, 1])
    for row, (name, image) in enumerate(images.items()):
        assert_same(from_contract(answer, row, SHAPES[name]), model.detect(image))


def test_broken_rows_leave_their_neighbors_alone(exported, image_of, assert_same):
    model, _, loaded = exported
    image = image_of(90, 130)
    jpeg = tf.io.encode_jpeg(image, quality=90).numpy()
    good = {0: png(image), 3: jpeg, 5: png(image[:, :70])}
    broken = {1: jpeg[: len(jpeg) // 2], 2: b"this is text", 4: b"", 6: png(image)[:60]}
    contents = [({**good, **broken})[row] for row in range(7)]
    answer = serve_bytes(loaded, contents)
    assert_contract({name: answer[name] for name in NAMES}, 7)
    np.testing.assert_array_equal(answer["image_ok"], [row in good for row in range(7)])
    for row in good:
        alone = image_ops.from_bytes(contents[row], "row")
        assert_same(from_contract(answer, row, alone.shape[:2]), model.detect(alone))
    for row in broken:
        assert answer["num_detections"][row] == 0

    answer = serve_bytes(loaded, list(broken.values()))
    assert_contract({name: answer[name] for name in NAMES}, 4)
    assert not answer["num_detections"].any() and not answer["image_ok"].any()


def test_turned_jpeg_and_gray_png(exported, served, tmp_path, image_of, assert_same):
    """What `detect` does with a file, the bytes signature does too."""
    model, _, loaded = exported
    image = image_of(90, 130)
    jpeg = tf.io.encode_jpeg(image).numpy()
    exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"
    turned = jpeg[:2] + b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif + jpeg[2:]
    answer = serve_bytes(loaded, [turned, png(image[..., :1])])
    for row, (name, contents, shape) in enumerate(
        [("turned.jpg", turned, (130, 90)), ("gray.png", png(image[..., :1]), (90, 130))]
    ):
        (tmp_path / name).write_bytes(contents)
        expected = model.detect(tmp_path / name)
        assert_same(from_contract(answer, row, shape), expected)
        assert_same(served.detect(str(tmp_path / name)), expected)


def test_empty_batches(exported):
    _, _, loaded = exported
    assert_contract(serve_images(loaded, np.zeros([0, 30, 40, 3])), 0)
    answer = serve_bytes(loaded, np.zeros([0], object))
    assert answer.pop("image_ok").shape == (0,)
    assert_contract(answer, 0)


def test_image_without_detections(tmp_path, make_model, image_of):
    model = make_model(CLASS_NAMES, score_threshold=1.0)
    model.export(tmp_path / "1")
    loaded = tf.saved_model.load(str(tmp_path / "1"))
    image = image_of(64, 96)
    assert len(model.detect(image)["scores"]) == 0
    answer = serve_bytes(loaded, [png(image), b"broken"])
    assert_contract({name: answer[name] for name in NAMES}, 2)
    np.testing.assert_array_equal(answer["num_detections"], [0, 0])
    np.testing.assert_array_equal(answer["image_ok"], [1, 0])
    served = export.load(tmp_path / "1").detect(image)
    assert {name: value.shape for name, value in served.items()} == {
        "boxes": (0, 4),
        "scores": (0,),
        "labels": (0,),
    }


def test_signatures(exported):
    _, _, loaded = exported
    images, contents = (loaded.signatures[name] for name in ("serving_default", "serving_bytes"))
    images, contents = (signature.structured_input_signature[1] for signature in (images, contents))
    assert images == {"input_tensor": tf.TensorSpec([None, None, None, 3], tf.uint8, name="input_tensor")}
    assert contents == {"image_bytes": tf.TensorSpec([None], tf.string, name="image_bytes")}


def test_stock_operations_only(exported):
    _, path, _ = exported
    saved = saved_model_pb2.SavedModel()
    saved.ParseFromString((path / "saved_model.pb").read_bytes())
    graph = saved.meta_graphs[0].graph_def
    operations = {node.op for node in graph.node}
    operations |= {node.op for function in graph.library.function for node in function.node_def}
    assert "DecodeJpeg" in operations and "Conv2D" in operations
    assert not {name for name in operations if "PyFunc" in name or name.startswith("Xla")}


def test_holds_the_weights_and_nothing_of_training(exported):
    model, path, _ = exported
    variables = dict(tf.train.list_variables(str(path / "variables" / "variables")))
    del variables["_CHECKPOINTABLE_OBJECT_GRAPH"]
    # Kernel, gamma, beta, mean and variance of a folded convolution become a kernel and a bias.
    folded = sum(weight.name == "gamma" for weight in model.weights)
    assert folded > 0 and len(variables) == len(model.weights) - 3 * folded


def test_assets(exported):
    model, path, _ = exported
    assert (path / "assets" / "labels.txt").read_text("utf-8").splitlines() == CLASS_NAMES
    assert json.loads((path / "assets" / "model.json").read_text("utf-8")) == {
        "keras_frcnn_version": kf.__version__,
        "format": "saved_model",
        "model": "FasterRCNN",
        "backbone": "small",
        "weights_source": "as given",
        "class_names": CLASS_NAMES,
        "needs_proposals": False,
        "image_size": [96, 128],
        "canvas": model.canvas,
        "preprocessing": "tf",
        "precision": "float32",
        "score_threshold": 0.05,
        "nms_iou": 0.5,
        "max_detections": ROWS,
        "max_bytes": 2**25,
        "max_pixels": 50_000_000,
    }


@pytest.mark.parametrize(
    "exported", [False, pytest.param(True, marks=pytest.mark.slow)], indirect=True, ids=["plain", "canvas"]
)
def test_fresh_process_with_tensorflow_alone(exported, tmp_path, image_of, assert_same):
    model, path, _ = exported
    image = image_of(90, 130)
    (tmp_path / "image.png").write_bytes(png(image))
    script = """
import sys, numpy as np, tensorflow as tf
loaded = tf.saved_model.load(sys.argv[1])
contents = open("image.png", "rb").read()
answer = loaded.signatures["serving_bytes"](image_bytes=tf.constant([b"broken", contents]))
assert not any(name.startswith("keras_frcnn") for name in sys.modules)
np.savez("answer.npz", **{name: value.numpy() for name, value in answer.items()})
"""
    subprocess.run([sys.executable, "-c", script, str(path)], cwd=tmp_path, check=True)
    answer = np.load(tmp_path / "answer.npz")
    np.testing.assert_array_equal(answer["image_ok"], [0, 1])
    assert_same(from_contract(answer, 1, (90, 130)), model.detect(image))


def test_mixed_precision_answers_in_float32(tmp_path, make_model, image_of):
    model = make_model(CLASS_NAMES, dtype="mixed_bfloat16", image_size=(64, 64))
    model.export(tmp_path / "1")
    loaded = tf.saved_model.load(str(tmp_path / "1"))
    images = np.stack([image_of(64, 80, seed) for seed in range(2)])
    assert_contract(serve_images(loaded, images), 2)
    answer = serve_bytes(loaded, [png(image) for image in images])
    assert_contract({name: answer[name] for name in NAMES}, 2)
    assert answer["num_detections"].all()


def test_served_detector(exported, served, tmp_path, image_of, assert_same):
    model, *_ = exported
    assert served.class_names == model.class_names and served.image_size == model.image_size
    images = [image_of(90, 130), image_of(50, 40).astype("float32")]
    answers, expected = served.detect(images), model.detect(images)
    for answer, wanted in zip(answers, expected, strict=True):
        assert_same(answer, wanted)
        assert {name: value.dtype for name, value in answer.items()} == {
            name: value.dtype for name, value in wanted.items()
        }
    with pytest.raises(ValueError, match=r"RGB image \[H, W, 3\] and got shape \(5, 5\)"):
        served.detect(np.zeros([5, 5]))
    with pytest.raises(FileNotFoundError, match="nowhere.jpg"):
        served.detect(tmp_path / "nowhere.jpg")


def test_refuses_to_overwrite_and_leaves_nothing_behind(tmp_path, make_model, monkeypatch):
    (tmp_path / "1").mkdir()
    model = make_model(CLASS_NAMES)
    with pytest.raises(FileExistsError, match="1 exists already; export to a new folder"):
        export.saved_model(model, tmp_path / "1")

    def disk_full(*arguments, **options):
        raise OSError("No space left on device")

    monkeypatch.setattr(tf.saved_model, "save", disk_full)
    with pytest.raises(OSError, match="No space left"):
        export.saved_model(model, tmp_path / "2")
    assert [path.name for path in tmp_path.iterdir()] == ["1"]


def test_load_names_what_is_wrong(exported, tmp_path):
    copy = shutil.copytree(exported[1], tmp_path / "cells" / "1")
    (tmp_path / "cells" / "1_old").mkdir()
    with pytest.raises(ValueError, match="cells is no SavedModel; give one of its versions, such as .*1\\.$"):
        export.load(tmp_path / "cells")
    graph = (copy / "saved_model.pb").read_bytes()
    (copy / "saved_model.pb").write_bytes(graph[: len(graph) // 2])
    with pytest.raises(ValueError, match="1 is incomplete or damaged .*; copy or export it again"):
        export.load(copy)
    (copy / "saved_model.pb").write_bytes(graph)
    shutil.rmtree(copy / "variables")
    with pytest.raises(ValueError, match="1 is incomplete or damaged .*; copy or export it again"):
        export.load(copy)
    with pytest.raises(FileNotFoundError, match="no SavedModel folder .*nowhere"):
        export.load(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="is no SavedModel; give the folder that export wrote"):
        export.load(tmp_path / "empty")
    tf.saved_model.save(tf.Module(), str(tmp_path / "other"))
    with pytest.raises(ValueError, match="other is a SavedModel, but not of keras_frcnn"):
        export.load(tmp_path / "other")


def test_a_network_of_ones_own_keeps_its_precision(make_model):
    model = make_model()
    assert with_settings(model, precision="float32").dtype_policy.name == "float32"
    with pytest.raises(ValueError, match="keeps its precision, float32; leave precision out"):
        with_settings(model, precision="bfloat16")
