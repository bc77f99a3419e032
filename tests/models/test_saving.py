"""A saved model is the same model, in a process that knows nothing but the package."""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest

import keras_frcnn as kf

SCRIPT = """
import json, sys
import keras, numpy as np
import keras_frcnn

image = np.load("image.npy")
for name in json.loads(sys.argv[1]):
    model = keras.saving.load_model(name + ".keras")
    with open(name + ".json", "w") as file:
        policies = [layer.dtype_policy.name for layers in model.head.dense for layer in layers]
        json.dump([model.get_config(), model.compiled, policies], file)
    np.savez(name + ".npz", **model.detect(image))

batch = np.load("batch.npz")
x = {name: batch[name] for name in ("images", "image_shapes")}
y = {name: batch[name] for name in ("boxes", "labels", "ignore")}
for name in ("trained", "frozen"):
    model = keras.saving.load_model(name + ".keras")
    tensors = len(model.trainable_weights), len(model.optimizer.variables)
    for _ in range(2):
        model.train_on_batch(x, y)
    np.savez(name + "_on.npz", *[variable.numpy() for variable in model.variables], tensors=tensors)
"""


def own_network():
    images = keras.Input((None, None, 3))
    maps = {}
    x = images
    for level, width in enumerate((8, 8, 16, 16), start=1):
        x = keras.layers.Conv2D(width, 3, 2, padding="same", activation="relu", name=f"own_conv{level}")(x)
        maps[f"P{level}"] = x
    return keras.Model(images, {name: maps[name] for name in ("P3", "P4")}, name="own")


def going_on(make_model, make_batches, folder):
    """Save models in the middle of their training, and what they are at its end."""
    ((x, y),) = make_batches(1)
    np.savez(folder / "batch.npz", **{name: value.numpy() for name, value in {**x, **y}.items()})
    for name in ("trained", "frozen"):
        model = make_model(head_dropout=0.5)
        if name == "frozen":
            model.rpn.trainable = False
            model.backbone.trainable = False
            model.backbone.layers[-1].trainable = True
        model.compile(keras.optimizers.Adam(1e-3))
        for step in range(4):
            if step == 2:
                model.save(folder / f"{name}.keras")
            model.train_on_batch(x, y)
        tensors = len(model.trainable_weights), len(model.optimizer.variables)
        variables = [variable.numpy() for variable in model.variables]
        np.savez(folder / f"{name}_whole.npz", *variables, tensors=tensors)


@pytest.fixture(scope="module")
def image(image_of):
    return image_of(90, 130)


@pytest.fixture(scope="module")
def saved(make_model, make_batches, image, tmp_path_factory):
    """Models of all kinds by name, and the folder where a fresh process put its answers."""
    folder = tmp_path_factory.mktemp("saved")
    weights = folder / "mine.weights.h5"
    kf.backbones.get("tiny_fpn").network.save_weights(weights)
    models = {
        "plain": make_model(),
        "from_file": make_model(backbone="tiny_fpn", anchor_sizes=None, backbone_weights=str(weights)),
        "own": make_model(
            backbone=own_network(),
            anchor_sizes=None,
            anchor_ratios=(1.0, 2.0),
            objectness="softmax",
            pooling="roi_pooling",
            class_agnostic=True,
            canvas=True,
            score_threshold=0.2,
        ),
        "float16": make_model(dtype="mixed_float16"),
    }
    os.remove(weights)
    models["plain"].compile("adam")
    for name, model in models.items():
        model.save(folder / f"{name}.keras")
    np.save(folder / "image.npy", image)
    going_on(make_model, make_batches, folder)
    environment = {**os.environ, "PYTHONPATH": str(Path(kf.__file__).parents[1])}
    arguments = [sys.executable, "-c", SCRIPT, json.dumps(list(models))]
    subprocess.run(arguments, cwd=folder, env=environment, check=True)
    return models, folder


@pytest.mark.parametrize("name", ["plain", "from_file", "own", "float16"])
def test_same_detections_in_a_fresh_process(saved, image, name, assert_same):
    models, folder = saved
    expected = models[name].detect(image)
    assert len(expected["scores"]) > 3
    assert_same(np.load(folder / f"{name}.npz"), expected)


@pytest.mark.parametrize("name", ["plain", "from_file", "own", "float16"])
def test_same_configuration(saved, name):
    models, folder = saved
    config, compiled, policies = json.loads((folder / f"{name}.json").read_text())
    assert config == json.loads(json.dumps(models[name].get_config()))
    assert compiled == (name == "plain")
    assert policies == ["mixed_float16" if name == "float16" else "float32"] * 2


def test_origin_of_the_weights_is_kept(saved):
    _, folder = saved
    config, *_ = json.loads((folder / "from_file.json").read_text())
    assert config["weights_source"] == "mine.weights.h5" and "backbone_weights" not in config


def test_the_optimizer_is_saved_whole(make_model, make_batches, tmp_path):
    model = make_model()
    model.compile(keras.optimizers.Adam(1e-3, global_clipnorm=1.0))
    model.fit(make_batches(2), verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert isinstance(loaded.optimizer, keras.optimizers.Adam) and int(loaded.optimizer.iterations) == 2
    assert loaded.optimizer.global_clipnorm == 1.0 and loaded.jit_compile is False
    for mine, theirs in zip(loaded.optimizer.variables, model.optimizer.variables, strict=True):
        np.testing.assert_array_equal(mine.numpy(), theirs.numpy())


def test_loss_scale_survives(make_model, make_batches, tmp_path):
    model = make_model(dtype="mixed_float16", image_size=(64, 64))
    model.compile("sgd")
    assert isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer)
    model.fit(make_batches(1), verbose=0)
    model.optimizer.dynamic_scale.assign(512.0)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert isinstance(loaded.optimizer, keras.optimizers.LossScaleOptimizer)
    assert isinstance(loaded.optimizer.inner_optimizer, keras.optimizers.SGD)
    assert float(loaded.optimizer.dynamic_scale) == 512.0


def test_frozen_stays_frozen(make_model, tmp_path):
    model = make_model(backbone="tiny_fpn", anchor_sizes=None, frozen_stages=2, frozen_batch_norm=True)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    paths = [[weight.path.split("/", 1)[-1] for weight in one.trainable_weights] for one in (model, loaded)]
    assert paths[0] == paths[1]
    assert len(paths[0]) < len(make_model(backbone="tiny_fpn", anchor_sizes=None).trainable_weights)


def test_weights_alone(make_model, image, tmp_path, assert_same):
    model = make_model()
    model.save_weights(tmp_path / "model.weights.h5")
    other = make_model()
    for weight in other.weights:
        weight.assign(weight + 1.0)
    other.load_weights(tmp_path / "model.weights.h5")
    assert_same(other.detect(image), model.detect(image))


def test_clone_by_configuration(make_model, image, assert_same):
    model = make_model(pool_size=5, nms_iou=0.4)
    twin = kf.FasterRCNN.from_config(model.get_config())
    twin.set_weights(model.get_weights())
    assert_same(twin.detect(image), model.detect(image))


@pytest.mark.parametrize("kind", [kf.FasterRCNN, kf.RPN])
def test_a_file_without_an_argument_is_from_before_it(kind):
    """Small proposals left after the cut, also on one map; now they leave before it, as in py-faster-rcnn."""
    names = {"class_names": ["cell"]} if kind is kf.FasterRCNN else {}
    config = kind(**names, backbone="mobilenet_v2", rpn_channels=8).get_config()
    assert config.pop("rpn_min_size_first") is True
    earlier = kind.from_config(config)
    assert earlier.rpn.min_size_first is earlier.get_config()["rpn_min_size_first"] is False


def test_an_earlier_sppnet_has_the_corners_of_then():
    config = kf.SPPNet(["cell"], backbone="zf", head_units=(8,)).get_config()
    assert config.pop("pool_corners") == "centers" and config.pop("pool_offset") == 1 / 32
    assert kf.SPPNet.from_config(config).roi_pooling.corners == "inclusive"


@pytest.mark.parametrize("name", ["trained", "frozen"])
def test_training_goes_on_exactly_in_a_fresh_process(saved, name):
    """Weights, and the state of every random generator, to the bit; what is frozen too."""
    _, folder = saved
    whole, on = np.load(folder / f"{name}_whole.npz"), np.load(folder / f"{name}_on.npz")
    assert len(whole.files) > 40
    for variable in whole.files:
        np.testing.assert_array_equal(on[variable], whole[variable], err_msg=variable)


def test_what_was_frozen_after_construction_stays_so(make_model):
    model = make_model()
    made = len(model.trainable_weights)
    assert "trainable_flags" not in model.get_config()
    model.rpn.conv.trainable = False
    model.backbone.trainable = False
    model.backbone.layers[-1].trainable = True
    twins = [keras.models.clone_model(model), type(model).from_config(model.get_config())]
    twins.append(kf.export.with_settings(model, max_detections=3))
    for twin in twins:
        paths = [[weight.path for weight in one.trainable_weights] for one in (model, twin)]
        assert paths[0] == paths[1] and len(paths[0]) < made
        assert twin.get_config()["trainable_flags"] == model.get_config()["trainable_flags"]


def test_weights_alone_hold_the_random_state(make_model, tmp_path):
    model, other = make_model(head_dropout=0.5), make_model(head_dropout=0.5)
    model.sampling_seeds.next()
    model.head.drop.seed_generator.next()
    model.save_weights(tmp_path / "model.weights.h5")
    other.load_weights(tmp_path / "model.weights.h5")
    for mine, theirs in zip(other.variables, model.variables, strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_a_file_without_random_state_loads(make_model, tmp_path, monkeypatch):
    with monkeypatch.context() as older:
        older.setattr(kf.models.Detector, "save_own_variables", keras.Model.save_own_variables)
        make_model().save(tmp_path / "model.keras")
    assert keras.saving.load_model(tmp_path / "model.keras").sampling_seeds.state.shape == (2,)


def test_a_file_names_the_parts(make_model, tmp_path):
    """Every layer has its place under the name of the attribute, not under that of a list."""
    make_model().save(tmp_path / "model.keras")
    with zipfile.ZipFile(tmp_path / "model.keras") as archive:
        archive.extract("model.weights.h5", tmp_path)
    with h5py.File(tmp_path / "model.weights.h5") as file:
        assert "head" in file and "detection_heads" not in file


def test_arrays_and_losses_are_arguments(make_model):
    sizes = np.array([24, 48, 96])
    loss = kf.losses.Focal(gamma=1.5)
    model = make_model(anchor_sizes=sizes, class_loss=loss)
    again = type(model).from_config(json.loads(json.dumps(model.get_config())))
    np.testing.assert_array_equal(again.arguments["anchor_sizes"], sizes)
    assert again.arguments["class_loss"].gamma == 1.5 and again.regions.class_loss.gamma == 1.5


@pytest.mark.parametrize("loss", [kf.losses.Focal, lambda logits, columns: logits, "huber", 3])
def test_losses_that_could_not_be_saved(make_model, loss):
    with pytest.raises(ValueError, match="class_loss is .*; use one of cross_entropy, focal, or an object"):
        make_model(class_loss=loss)
