import keras
import numpy as np
import pytest

from keras_frcnn.commands import convert, train
from keras_frcnn.weights import to_torchvision

NAME = "fasterrcnn_mobilenet_v3_large_320_fpn"


@pytest.fixture(scope="module")
def npz(shared, tmp_path_factory):
    """A file of stand-in weights under torchvision's names."""
    import importlib.util

    spec = importlib.util.spec_from_file_location("pseudo_weights", shared / "parity/pseudo_weights.py")
    pseudo = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(pseudo)
    file = tmp_path_factory.mktemp("torchvision") / "weights.npz"
    np.savez(file, **pseudo.pseudo_state_dict(NAME))
    return file


@pytest.fixture(scope="module")
def keras_file(npz):
    file = npz.with_name("coco.keras")
    convert.main(["torchvision", NAME, str(npz), str(file)])
    return file


def test_every_tensor_is_accounted_for(npz, tmp_path, capsys):
    file = tmp_path / "new/coco.keras"
    convert.main(["torchvision", NAME, str(npz), str(file)])
    lines = capsys.readouterr().out.splitlines()
    names = list(np.load(npz))
    assert [line.split()[0] for line in lines[1 : 1 + len(names)]] == names
    assert "330 tensors: 284 loaded, 46 counters, none left over." in lines
    assert any("1e-05" in line for line in lines)
    model = keras.saving.load_model(file)
    assert model.arguments["weights_source"] == "weights.npz" and len(model.class_names) == 90
    for name, array in to_torchvision(model).items():
        np.testing.assert_array_equal(array, np.load(npz)[name])


def test_refuses_with_one_sentence_and_writes_nothing(npz, tmp_path, capsys):
    cut = tmp_path / "cut.npz"
    cut.write_bytes(npz.read_bytes()[:-5000])
    for file, output, text in (
        (cut, "a.keras", "is cut off at tensor"),
        (tmp_path / "absent.npz", "a.keras", "There is no weights file"),
        (npz, "a.h5", "end it in .keras"),
    ):
        with pytest.raises(SystemExit):
            convert.main(["torchvision", NAME, str(file), str(tmp_path / output)])
        sentence = capsys.readouterr().err.strip()
        assert text in sentence and "\n" not in sentence
        assert not (tmp_path / output).exists()


@pytest.mark.slow
def test_training_begins_with_it(keras_file, voc, tmp_path, capsys):
    words = ["--train", f"voc:{voc}@train", "--init", keras_file, "--image-size", "64", "80", "--epochs", "1"]
    folder = train.main([str(word) for word in [*words, "--batch-size", "3", "--output", tmp_path / "run"]])
    output = capsys.readouterr().out
    new = "head/class_predictor/kernel, head/class_predictor/bias, head/box_predictor/kernel"
    assert f"Kept 280 tensors of {keras_file}; new: {new}" in output
    assert "coco.keras" in output
    tuned, initial = (keras.saving.load_model(file) for file in (folder / "last.keras", keras_file))
    assert len(tuned.class_names) == 6 and tuned.image_size == (64, 80)
    for name in ("frozen_stages", "anchor_rounding", "rpn_post_nms", "score_threshold", "batch_norm_epsilon"):
        assert tuned.arguments[name] == initial.arguments[name]
    # torchvision trains the last three stages and keeps the statistics of all.
    for layer, before in zip(tuned.backbone.layers, initial.backbone.layers, strict=True):
        same = all(np.array_equal(a, b) for a, b in zip(layer.weights, before.weights, strict=True))
        assert same == (not layer.trainable or not layer.weights), layer.name


def test_its_recipe_goes_over_the_file_and_fetches_nothing(keras_file):
    words = ["--train", "voc:x@y", "--init", str(keras_file), "--recipe", "resnet50_fpn_coco"]
    run = train.parse(words, train._initial(words))
    assert (run.backbone, run.backbone_weights, run.steps) == ("resnet50_fpn", "none", 190580)
    assert run.detector["frozen_stages"] == 2 and run.detector["rpn_score_threshold"] == 0.0
    assert "weights_source" not in run.detector


def test_its_configuration_alone_freezes_nothing(keras_file):
    words = ["--train", "voc:x@y", "--init", str(keras_file), "--image-size", "64", "80"]
    recipe = train.recipe_of(train.parse(words, train._initial(words)))
    assert recipe.detector["frozen_stages"] == 3 and "weights_source" not in recipe.detector
    begun, new = recipe.build(["a"], "coco.keras"), recipe.build(["a"])
    assert (begun.arguments["frozen_stages"], begun.arguments["weights_source"]) == (3, "coco.keras")
    assert (new.arguments["frozen_stages"], new.arguments["weights_source"]) == (0, "none")
    assert not new.arguments["frozen_batch_norm"]


@pytest.mark.parametrize(
    "words, part",
    [
        (["--model", "rpn"], "is a FasterRCNN, with which no rpn can begin; leave --model out"),
        (["--backbone-weights", "imagenet"], "brings all weights; leave --backbone-weights out"),
        (["--backbone", "resnet50_fpn"], "with which no resnet50_fpn can begin; leave --backbone and"),
    ],
)
def test_refuses_what_does_not_go_with_it(keras_file, voc, tmp_path, capsys, words, part):
    with pytest.raises(SystemExit):
        train.main(
            [
                "--train",
                f"voc:{voc}@train",
                "--init",
                str(keras_file),
                "--output",
                str(tmp_path / "a"),
                *words,
            ]
        )
    sentence = capsys.readouterr().err.strip()
    assert part in sentence and "\n" not in sentence
    assert not (tmp_path / "a").exists()


def test_refuses_what_cannot_begin(tmp_path, voc, capsys):
    for words in (["--init", tmp_path], ["--init", tmp_path / "absent.keras"]):
        with pytest.raises(SystemExit):
            train.main(["--train", f"voc:{voc}@train", *map(str, words)])
        assert "\n" not in capsys.readouterr().err.strip()


@pytest.mark.slow
def test_fine_tuning_on_three_classes(keras_file, shared, tmp_path):
    """With stand-in weights it cannot learn much; it runs, and it begins with what was kept."""
    words = ["--train", f"voc:{shared}/data/bccd@trainval", "--init", keras_file, "--steps", "20"]
    folder = train.main([str(word) for word in [*words, "--output", tmp_path / "run"]])
    model = keras.saving.load_model(folder / "last.keras")
    assert sorted(model.class_names) == ["Platelets", "RBC", "WBC"]
    assert model.image_size == (320, 640)
