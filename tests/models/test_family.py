"""Fast R-CNN, SPPnet and R-CNN: the models on external proposals, and what they share."""

import json
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_frcnn as kf
from keras_frcnn.boxes import is_box

PROPOSALS = np.float32([[5, 5, 60, 52], [40, 20, 92, 88], [0, 0, 95, 95], [10, 40, 30, 60], [70, 5, 90, 30]])
COMMON = {"image_size": (96, 128), "head_units": (16, 16), "head_batch_size": 8, "max_detections": 6}
KINDS = {
    "fast": (kf.FastRCNN, {}),
    "agnostic": (kf.FastRCNN, {"class_agnostic": True, "pooling": "exact", "head_ranks": (4, None)}),
    "spp": (kf.SPPNet, {"pool_levels": (1, 2)}),
    "rcnn": (kf.RCNN, {"warp_size": 64, "pool_size": 2, "region_batch": 2}),
}

SCRIPT = """
import json, sys
import keras, numpy as np
import keras_frcnn

image, proposals = np.load("image.npy"), np.load("proposals.npy")
for name in json.loads(sys.argv[1]):
    model = keras.saving.load_model(name + ".keras")
    np.savez(name + ".npz", **model.detect(image, proposals))
"""


def network():
    """A network of one map at stride 16."""
    x = images = keras.Input((None, None, 3))
    for index, width in enumerate((8, 8, 8, 8)):
        x = keras.layers.Conv2D(width, 3, 2, "same", activation="relu", name=f"own{index}")(x)
    return keras.Model(images, {"C4": x}, name="own")


def make(name, **arguments):
    keras.utils.set_random_seed(3)
    kind, own = KINDS[name]
    model = kind(["round", "square"], backbone=network(), **{**COMMON, **own, **arguments})
    # Sure enough of itself, untrained, to detect.
    model.head.class_dense.kernel.assign(model.head.class_dense.kernel * 300.0)
    kernel = model.head.box_dense.kernel
    kernel.assign(0.1 * np.random.default_rng(0).normal(size=kernel.shape))
    return model


@pytest.fixture(scope="module", params=KINDS)
def name(request):
    return request.param


@pytest.fixture(scope="module")
def model(name):
    return make(name)


@pytest.fixture(scope="module")
def image(image_of):
    return image_of(96, 96)


@pytest.fixture(scope="module")
def batch(make_batches):
    def make_one(**arguments):
        ((x, y),) = make_batches(1, **arguments)
        padded = np.pad(PROPOSALS, [[0, 2], [0, 0]], constant_values=-1.0)
        return {**x, "proposals": tf.constant([padded] * 2)}, y

    return make_one


def test_padding_changes_nothing(model, image):
    few = model({"images": image[None], "proposals": PROPOSALS[None]})
    padded = np.pad(PROPOSALS, [[0, 9], [0, 0]], constant_values=-1.0)
    many = model({"images": image[None], "proposals": padded[None]})
    assert few["num_detections"][0] > 1
    for key, value in few.items():
        np.testing.assert_allclose(many[key], value, rtol=1e-4, atol=1e-4)


def test_no_proposals_no_detections(model, image):
    for proposals in (np.zeros([0, 4]), np.full([3, 4], -1.0)):
        assert len(model.detect(image, proposals)["scores"]) == 0


def test_an_image_alone_and_in_a_batch(model, image_of, assert_same):
    shapes = [(96, 64), (64, 96), (96, 96)]
    pictures = [image_of(*shape, seed) for seed, shape in enumerate(shapes)]
    stacked = np.zeros([3, 96, 96, 3], np.float32)
    for canvas, picture in zip(stacked, pictures):
        canvas[: picture.shape[0], : picture.shape[1]] = picture
    inside = [np.minimum(PROPOSALS, [w, h, w, h]) for h, w in shapes]
    together = model({"images": stacked, "image_shapes": np.int32(shapes), "proposals": np.stack(inside)})
    for row, (picture, boxes) in enumerate(zip(pictures, inside)):
        count = int(together["num_detections"][row])
        alone = model({"images": picture[None], "proposals": boxes[None]})
        assert_same(
            {key: together[key][row, :count].numpy() for key in ("boxes", "scores", "labels")},
            {key: alone[key][0, :count].numpy() for key in ("boxes", "scores", "labels")},
        )


def test_detect_answers_in_pixels_of_the_image(model, image, assert_same):
    # The image is at its working size already, so nothing is resized.
    direct = model({"images": image[None], "proposals": PROPOSALS[None]})
    count = int(direct["num_detections"][0])
    found = model.detect(image, PROPOSALS)
    assert_same(found, {key: direct[key][0, :count].numpy() for key in ("boxes", "scores", "labels")})
    assert_same(model.detect([image, image], [PROPOSALS, PROPOSALS])[1], found)
    one = PROPOSALS[:1]
    large = model.detect(tf.image.resize(image, [192, 192]).numpy(), 2 * one)
    np.testing.assert_allclose(large["boxes"] / 2, model.detect(image, one)["boxes"], atol=2.0)


def test_detect_runs_selective_search(model, image):
    assert set(model.detect(image)) == {"boxes", "scores", "labels"}


def test_refuses_what_are_no_proposals(model, image):
    with pytest.raises(ValueError, match=r"\[P, 4\]"):
        model.detect(image, np.zeros([3, 5]))
    with pytest.raises(ValueError, match="needs proposals"):
        model(image[None])


@pytest.fixture(scope="module")
def learner(name, set_back):
    model = make(name)
    model.compile(keras.optimizers.Adam(1e-3))
    return set_back(model)


def test_trains(learner, batch):
    model = learner()
    x, y = batch()
    losses = [model.train_on_batch(x, y, return_dict=True)["loss"] for _ in range(25)]
    assert np.all(np.isfinite(losses)) and np.mean(losses[-5:]) < np.mean(losses[:5])


@pytest.mark.parametrize("ignore", [(False, False), (True, True)])
def test_trains_without_objects(learner, batch, ignore):
    model = learner()
    model.reset_metrics()  # Keras 3.10 goes on from the batches before
    nothing = {} if any(ignore) else {"labels": (-1, -1)}
    x, y = batch(ignore=ignore, **nothing)
    logs = model.train_on_batch(x, y, return_dict=True)
    assert np.isfinite(logs["loss"]) and logs["proposal_recall"] == 0.0
    assert all(np.all(np.isfinite(weight)) for weight in model.get_weights())


def test_no_proposals_train_on_the_objects(learner, batch):
    model = learner()
    x, y = batch()
    x["proposals"] = -tf.ones([2, 1, 4])
    assert np.isfinite(model.train_on_batch(x, y, return_dict=True)["class_loss"])


def test_which_parts_learn(name, learner, batch):
    model = learner()
    before = {weight.path: weight.numpy() for weight in model.weights}
    model.train_on_batch(*batch())
    moved = {weight.path for weight in model.weights if np.any(weight.numpy() != before[weight.path])}
    convolutions = {weight.path for weight in model.backbone.weights}
    boxes = {weight.path for weight in model.head.box_dense.weights}
    assert bool(moved & convolutions) == (name != "spp")
    assert bool(moved & boxes) == (name in ("fast", "agnostic"))


def test_same_answers_in_a_fresh_process(image, tmp_path, assert_same):
    models = {name: make(name) for name in KINDS}
    models["fast"].head.normalize_boxes(np.full([2, 4], 0.05), np.full([2, 4], 0.3))
    for name, model in models.items():
        model.save(tmp_path / f"{name}.keras")
    np.save(tmp_path / "image.npy", image)
    np.save(tmp_path / "proposals.npy", PROPOSALS)
    environment = {**os.environ, "PYTHONPATH": str(Path(kf.__file__).parents[1])}
    arguments = [sys.executable, "-c", SCRIPT, json.dumps(list(models))]
    subprocess.run(arguments, cwd=tmp_path, env=environment, check=True)
    for name, model in models.items():
        assert_same(np.load(tmp_path / f"{name}.npz"), model.detect(image, PROPOSALS))


def test_export(name, model, image, tmp_path, assert_same):
    model.export(tmp_path / "1")
    loaded = tf.saved_model.load(str(tmp_path / "1"))
    assert list(loaded.signatures) == ["serving_default"]
    inputs = loaded.signatures["serving_default"].structured_input_signature[1]
    assert inputs["proposals"].shape.as_list() == [None, None, 4]
    served = kf.export.load(tmp_path / "1")
    assert served.needs_proposals and served.has_one_size
    with pytest.raises(ValueError, match="An export has one image_size"):
        served.detect(image, PROPOSALS, image_size=(64, 96))
    assert_same(served.detect(image, PROPOSALS), model.detect(image, PROPOSALS))
    one = {"input_tensor": tf.constant(image[None]), "proposals": tf.constant(PROPOSALS[None])}
    for called in (loaded(*one.values()), loaded(**one)):
        for key, value in loaded.signatures["serving_default"](**one).items():
            np.testing.assert_allclose(called[key], value, rtol=1e-5, atol=1e-5)
    nothing = loaded.signatures["serving_default"](
        input_tensor=tf.zeros([0, 8, 8, 3], tf.uint8), proposals=tf.zeros([0, 3, 4])
    )
    assert nothing["detection_boxes"].shape == (0, 6, 4)


def test_mixed_precision(name, batch):
    model = make(name, dtype="mixed_float16")
    model.compile("sgd")
    assert np.isfinite(model.train_on_batch(*batch(), return_dict=True)["loss"])
    assert model.head.box_dense.weights[0].dtype == "float32"


def test_padding_is_no_box():
    rows = tf.constant([[0.0, 0, 1, 1], [-1, -1, -1, -1], [3, 3, 3, 9], [5, 5, 4, 9]])
    assert is_box(rows).numpy().tolist() == [True, False, False, False]


@pytest.mark.parametrize("name", ["fast", "spp"])
def test_image_pyramid_takes_each_roi_from_its_scale(name, image, assert_same):
    plain, small, large = make(name), PROPOSALS[3:4], PROPOSALS[2:3]
    for sides, nearest in (((96,), (96, 96)), ((96, 384), (384, 96))):
        model = make(name, pyramid_sides=sides)
        for proposals, side in zip((small, large), nearest):
            expected = plain.detect(image, proposals, image_size=(side, 2000))
            assert_same(model.detect(image, proposals), expected)


def test_an_image_pyramid_has_its_own_sizes(image):
    model = make("fast", pyramid_sides=(96, 128))
    with pytest.raises(ValueError, match="leave image_size out"):
        model.detect(image, PROPOSALS, image_size=(64, 96))
    views = kf.evaluation.TestTimeAugmentation(model, flip=False)
    assert np.array_equal(views.detect(image, PROPOSALS)["labels"], model.detect(image, PROPOSALS)["labels"])


def test_refuses_a_pyramid_of_features():
    with pytest.raises(ValueError, match="one feature map"):
        kf.RCNN(["a"], backbone="tiny_fpn")
    with pytest.raises(ValueError, match="one feature map"):
        kf.FastRCNN(["a"], backbone="tiny_fpn", pyramid_sides=(96, 128))
