"""Presets: a published file of the same form, made on the spot and served on the loopback, without torch."""

import dataclasses
import hashlib
import json
import os
import pathlib
import re
import subprocess
import sys
import zipfile

import keras
import numpy as np
import pytest

import keras_frcnn as kf
from keras_frcnn import downloads
from keras_frcnn.commands.detectors import is_preset, load_detector
from keras_frcnn.commands.provenance import provenance
from keras_frcnn.weights import preset as table

MODEL = "fasterrcnn_mobilenet_v3_large_320_fpn"
NAME = f"{MODEL}_coco"
ROOT = pathlib.Path(__file__).parents[2]
# Numbers of torchvision 0.29's weights, read from its `COCO_V1.meta`.
PUBLISHED = {
    "fasterrcnn_resnet50_fpn_coco": ("fasterrcnn_resnet50_fpn_coco-258fb6c6.pth", 37.0, 159.743),
    "fasterrcnn_resnet50_fpn_v2_coco": ("fasterrcnn_resnet50_fpn_v2_coco-dd69338a.pth", 46.7, 167.104),
    "fasterrcnn_mobilenet_v3_large_fpn_coco": (
        "fasterrcnn_mobilenet_v3_large_fpn-fb6a3cc7.pth",
        32.8,
        74.239,
    ),
    NAME: ("fasterrcnn_mobilenet_v3_large_320_fpn-907ea3f9.pth", 22.8, 74.239),
}


@pytest.fixture(scope="module")
def made(pseudo, tmp_path_factory, torch_file):
    """A file with stand-in weights and its preset, which takes the place of the published one."""
    path = tmp_path_factory.mktemp("published") / "a.pth"
    torch_file(path, pseudo.pseudo_state_dict(MODEL))
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    named = path.rename(path.with_name(f"made_up-{digest[:8]}.pth"))
    return named, dataclasses.replace(table.PRESETS[NAME], file=named.name)


@pytest.fixture
def mirror(made, server, cache, monkeypatch):
    """The server, as the mirror that has the file."""
    path, preset = made
    monkeypatch.setitem(table.PRESETS, NAME, preset)
    monkeypatch.setenv(downloads.VARIABLE, server.url)
    server.files[path.name] = path.read_bytes()
    return server


def plain(arguments):
    """Arguments with lists for tuples, as a loaded model has them."""
    return json.loads(json.dumps(dict(arguments)))


def test_the_table_is_torchvisions():
    found = {one.name: (one.file, one.box_ap, one.megabytes) for one in kf.presets()}
    assert found == PUBLISHED
    for one in kf.presets():
        assert one.url == f"https://download.pytorch.org/models/{one.file}"
        assert re.fullmatch(r"[0-9a-f]{8}", one.sha256) and "BSD-3-Clause" in one.license
    text = repr(kf.presets())
    assert text.splitlines()[1].split()[:4] == ["fasterrcnn_resnet50_fpn_coco", "37.0", "160", "258fb6c6"]
    assert "License: BSD-3-Clause (torchvision); trained on COCO" in text


def test_beside_torchvisions_own_table():
    models = pytest.importorskip(
        "torchvision.models", reason="torchvision is not installed", exc_type=ImportError
    )
    for one in kf.presets():
        weights = models.get_model_weights(one.model).COCO_V1
        box_ap = weights.meta["_metrics"]["COCO-val2017"]["box_map"]
        assert (one.url, one.box_ap, one.megabytes) == (weights.url, box_ap, weights.meta["_file_size"])


def test_the_same_as_load_torchvision_with_the_network_cut_at_five_places(
    mirror, made, image_of, assert_same
):
    path, _ = made
    size = path.stat().st_size
    mirror.faults = [mirror.cut(at) for at in (1, 100_000, size // 3, size // 2, size - 1)]
    model = kf.FasterRCNN.from_preset(NAME)
    assert len(mirror.requests) == 6 and "torch" not in sys.modules
    expected = kf.weights.load_torchvision(MODEL, path)
    assert plain(model.arguments) == plain(expected.arguments)
    for ours, theirs in zip(model.weights, expected.weights, strict=True):
        np.testing.assert_array_equal(ours.numpy(), theirs.numpy(), err_msg=ours.path)
        assert ours.trainable == theirs.trainable
    assert_same(model.detect(image_of(120, 160)), expected.detect(image_of(120, 160)))
    assert path.name in model.loading_report()

    # The second time the kept model is loaded: without network, and without torchvision's file.
    mirror.close()
    (downloads.folder() / path.name).unlink()
    (kept,) = downloads.folder().glob("*.keras")
    assert kept.name == f"{NAME}-{path.stem[-8:]}-{kf.__version__}.keras"
    again = load_detector(NAME)
    assert plain(again.arguments) == plain(expected.arguments)
    for ours, theirs in zip(again.weights, expected.weights, strict=True):
        np.testing.assert_array_equal(ours.numpy(), theirs.numpy(), err_msg=ours.path)
        assert ours.trainable == theirs.trainable


def test_other_classes_other_arguments_and_a_damaged_cache(mirror, made):
    mirror_url = os.environ.pop(downloads.VARIABLE)
    names = ["person", "unicorn", "dog"]
    with pytest.warns(UserWarning, match="begin new, because .* has no such weights; train it") as warned:
        tuned = kf.FasterRCNN.from_preset(NAME, head_units=(64, 32), weights_url=mirror_url)
    (text,) = [str(one.message) for one in warned if one.category is UserWarning]
    assert text.count("head/") == text.count("kernel") + text.count("bias") == 6 and "backbone" not in text
    assert tuned.arguments["head_units"] == (64, 32) and len(tuned.class_names) == 90
    (kept,) = downloads.folder().glob("*.keras")
    whole = kept.read_bytes()
    kept.write_bytes(whole[:-1000])
    requests = len(mirror.requests)
    model = kf.FasterRCNN.from_preset(NAME, names, image_size=(64, 80), dtype="mixed_bfloat16")
    assert len(mirror.requests) == requests and zipfile.is_zipfile(
        kept
    )  # made again of the file that is kept
    assert model.class_names == ("person", "unicorn", "dog") and model.image_size == (64, 80)
    assert model.dtype_policy.name == "mixed_bfloat16"
    expected = kf.weights.load_torchvision(MODEL, made[0])
    assert model.arguments["frozen_stages"] == expected.arguments["frozen_stages"] == 3
    ours, theirs = model.head.class_dense.bias.numpy(), expected.head.class_dense.bias.numpy()
    place = expected.class_names.index("dog") + 1
    np.testing.assert_array_equal(ours[[0, 1, 3]], theirs[[0, 1, place]])
    assert ours[2] not in theirs
    for mine, other in zip(model.backbone.layers, expected.backbone.layers, strict=True):
        assert (mine.trainable, len(mine.weights)) == (other.trainable, len(other.weights))
        for one, two in zip(mine.weights, other.weights):
            np.testing.assert_array_equal(one.numpy(), two.numpy())


def test_a_global_policy_is_not_kept(mirror):
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        assert kf.FasterRCNN.from_preset(NAME).dtype_policy.name == "mixed_bfloat16"
    finally:
        keras.config.set_dtype_policy("float32")
    assert kf.FasterRCNN.from_preset(NAME).dtype_policy.name == "float32"


def test_refusals(cache):
    with pytest.raises(
        ValueError, match="no preset 'fasterrcnn_resnet50_coco'; did you mean fasterrcnn_resnet50"
    ):
        kf.FasterRCNN.from_preset("fasterrcnn_resnet50_coco")
    with pytest.raises(TypeError, match="from_preset takes no backbone"):
        kf.FasterRCNN.from_preset(NAME, backbone="vgg16")
    with pytest.raises(FileNotFoundError, match=f"There is no model {NAME[:-1]}; did you mean {NAME}"):
        load_detector(NAME[:-1])
    with pytest.raises(ValueError, match="Connection refused.*KERAS_FRCNN_WEIGHTS_URL"):
        kf.FasterRCNN.from_preset(NAME, weights_url="http://127.0.0.1:9")


def test_a_file_of_the_name_of_a_preset_comes_first(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config.yaml").write_text("# train.py --epochs 3\n")
    file = pathlib.Path(NAME)
    assert is_preset(file) and provenance(file)["data"] is None
    file.write_text("")
    assert not is_preset(file) and "train.py --epochs 3" in provenance(file)["data"]
    with pytest.raises(ValueError, match=f"{NAME} is no model"):
        load_detector(NAME)


def test_what_another_process_has_converted_is_not_written_again(mirror, monkeypatch):
    module = sys.modules["keras_frcnn.weights.from_preset"]  # the package names the function so
    found = iter([None, "written meanwhile"])
    monkeypatch.setattr(module, "_loaded", lambda path: next(found))
    monkeypatch.setattr(module, "save", lambda *_: pytest.fail("written again"))
    assert kf.FasterRCNN.from_preset(NAME).arguments["weights_source"]


def test_imagenet_comes_the_same_way(server, cache, pseudo, torch_file, tmp_path):
    """The backbone's file has another SHA-256 than the published one, and is refused; a right one is read."""
    body = {
        "features." + name.removeprefix("backbone.body."): array
        for name, array in pseudo.pseudo_state_dict(MODEL).items()
        if name.startswith("backbone.body.")
    }
    torch_file(tmp_path / "a.pth", {**body, "classifier.0.weight": np.zeros((4, 4), np.float32)})
    contents = (tmp_path / "a.pth").read_bytes()
    published = "mobilenet_v3_large-8738ca79.pth"
    server.files[published] = contents
    with downloads.from_mirror(server.url):
        with pytest.raises(ValueError, match="SHA-256 of what the server sends begins with .* of 8738ca79"):
            kf.backbones.get("mobilenet_v3_large_fpn", "imagenet")
        named = f"mobilenet_v3_large-{hashlib.sha256(contents).hexdigest()[:8]}.pth"
        server.files[named] = contents
        network = kf.backbones.get("mobilenet_v3_large_fpn", downloads.published(named)).network
    kernel = network.get_layer("features.16.0").kernel
    np.testing.assert_array_equal(kernel[0, 0].numpy().T, body["features.16.0.weight"][:, :, 0, 0])


@pytest.mark.slow
def test_train_begins_with_a_preset_in_a_fresh_process(mirror, made, tmp_path):
    path, preset = made
    program = (
        "import sys, json; from keras_frcnn.weights import preset; from keras_frcnn.commands import train; "
        f"preset.PRESETS[{NAME!r}] = preset.Preset(**json.loads(sys.argv[1])); train.main(sys.argv[2:])"
    )
    words = ["--train", "shapes@train", "--val", "shapes@val", "--init", NAME, "--image-size", "64", "80"]
    words += [
        "--steps",
        "2",
        "--batch-size",
        "1",
        "--weights-url",
        str(path.parent),
        "--output",
        str(tmp_path / "run"),
    ]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), downloads.VARIABLE: "http://127.0.0.1:9/"}
    command = [sys.executable, "-c", program, json.dumps(dataclasses.asdict(preset)), *words]
    out = subprocess.run(command, env=environment, capture_output=True, text=True, cwd=tmp_path)
    assert out.returncode == 0, out.stderr
    assert f"Kept 280 tensors of {NAME}; new: head/class_predictor/kernel" in out.stdout
    model = keras.saving.load_model(tmp_path / "run/last.keras")
    assert model.arguments["weights_source"] == NAME and model.arguments["frozen_stages"] == 3
    assert f"--init {NAME}" in (tmp_path / "run/config.yaml").read_text().partition("\n")[0]
    # Without network one sentence, and no run folder.
    words[words.index("--weights-url") + 1] = "http://127.0.0.1:9/"
    words[-1] = str(tmp_path / "other")
    environment["KERAS_HOME"] = str(tmp_path / "empty")
    command = [sys.executable, "-c", program, json.dumps(dataclasses.asdict(preset)), *words]
    out = subprocess.run(command, env=environment, capture_output=True, text=True, cwd=tmp_path)
    sentences = [line for line in out.stderr.splitlines() if "could not be fetched" in line]
    assert out.returncode == 1 and len(sentences) == 1 and "Traceback" not in out.stderr
    assert not (tmp_path / "other").exists()
