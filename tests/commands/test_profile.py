import json

import pytest

import keras_frcnn as kf
from keras_frcnn import profiling
from keras_frcnn.commands import profile
from keras_frcnn.profiling import steps

FORWARD = {"backbone", "rpn", "proposals", "roi_pooling", "head"}


def check(step):
    """The parts are there and add up to the whole."""
    assert sum(map(sum, step["parts"].values())) == pytest.approx(step["seconds"])
    assert step["spread"][0] <= step["seconds"] <= step["spread"][1]
    assert all(seconds >= 0 for pair in step["parts"].values() for seconds in pair)
    assert FORWARD | {"input", "other"} <= set(step["parts"])


@pytest.mark.slow
def test_where_the_time_of_a_new_detector_goes(tmp_path, capsys):
    words = "--backbone tiny_fpn --image-size 64 80 --data shapes@val --steps 3 --batch-size 2".split()
    file = tmp_path / "figures" / "profile.json"
    figures = profile.main([*words, "--output", str(tmp_path / "traces"), "--json", str(file)])
    training, inference = figures["training"], figures["inference"]
    check(training)
    check(inference)
    assert (training["images"], inference["images"]) == (2, 1)
    assert (training["traces"], inference["traces"]) == (1, 1)
    assert {"targets", "losses", "update"} <= set(training["parts"])
    assert "post_processing" in inference["parts"]
    assert not {"targets", "losses", "update"} & set(inference["parts"])
    # What has weights, or hands gradients on, goes backward in training only.
    backward = {part for part, (_, seconds) in training["parts"].items() if seconds}
    assert {"backbone", "rpn", "roi_pooling", "head"} <= backward
    assert not backward & {"proposals", "targets", "update", "input"}
    assert not any(backward for _, backward in inference["parts"].values())
    assert json.loads(file.read_text()) == json.loads(json.dumps(figures))
    assert len([*(tmp_path / "traces").rglob("*.xplane.pb")]) == 2
    output = capsys.readouterr().out
    assert "tiny_fpn at (64, 80) on shapes@val, CPU" in output
    assert output.count(", 1 trace\n") == 2
    assert "training, 2 images:" in output and "inference, 1 image:" in output
    assert str(tmp_path / "traces") in output


@pytest.mark.slow
def test_a_saved_model(trained, voc, tmp_path):
    words = ["--model", trained.folder / "last.keras", "--data", f"voc:{voc}@train", "--steps", 1]
    figures = profile.main([*map(str, words), "--output", str(tmp_path)])
    check(figures["training"])
    check(figures["inference"])


def test_drawn_scenes_have_the_classes_of_the_model(make_model, monkeypatch, tmp_path, capsys):
    make_model(["red cell", "plate"]).save(tmp_path / "own.keras")
    seen = []
    monkeypatch.setattr(profile.profiling, "profile", lambda model, dataset, *_: seen.append(dataset))
    monkeypatch.setattr(profile.profiling, "report", lambda figures: "")
    profile.main(["--model", str(tmp_path / "own.keras"), "--output", str(tmp_path)])
    assert seen[0].class_names == ("red cell", "plate")
    assert {label for record in seen[0].records for label in record.labels} == {0, 1}


@pytest.mark.slow
def test_the_update_is_found_under_mixed_precision(make_model, tmp_path):
    dataset = kf.data.load("shapes@val")
    model = make_model(dataset.class_names, dtype="mixed_float16", image_size=(64, 80))
    model.compile()
    check(figures := profiling.profile(model, dataset, 1, 1, tmp_path)["training"])
    assert sum(figures["parts"]["update"]) > 0


def test_the_outermost_scope_decides(make_model):
    part_of = steps._Parts(make_model(backbone="tiny_fpn", anchor_sizes=None))
    for name, part in {
        "tiny_fpn_1/head_2/conv/Conv2D": ("backbone", False),
        "gradient_tape/tiny_fpn_1/losses/Mul": ("backbone", True),
        "rpn_1/proposals/TopKV2": ("proposals", False),
        "tiny_fpn_1/rpn/proposals/Add": ("backbone", False),
        "head_1/fc6_1/MatMul": ("head", False),
        "update/SGD/head_1/mul": ("update", False),
        "resize/Cast": ("other", False),
    }.items():
        assert part_of(f"{name}:Kind") == part


def test_a_model_compiled_by_xla_is_refused(make_model, tmp_path):
    model = make_model()
    model.compile(jit_compile=True)
    with pytest.raises(ValueError, match="XLA makes one operation of a whole step"):
        profiling.profile(model, kf.data.load("shapes@val"), 1, 1, tmp_path)


def test_other_methods_are_refused(tmp_path):
    model = kf.RPN(backbone="tiny_fpn")
    with pytest.raises(ValueError, match="A RPN is not profiled part by part; give a FasterRCNN or"):
        profiling.profile(model, kf.data.load("shapes@val"), 1, 1, tmp_path)


def test_the_kind_comes_before_the_classes(tmp_path, capsys):
    kf.RPN(backbone="tiny_fpn").save(tmp_path / "rpn.keras")
    with pytest.raises(SystemExit):
        profile.main(["--model", str(tmp_path / "rpn.keras"), "--data", "shapes@val"])
    assert "A RPN is not profiled part by part" in capsys.readouterr().err


def test_a_cascade_has_a_part_for_all_its_heads(small_network):
    model = kf.CascadeRCNN(["a"], small_network(), head_units=(8,), anchor_sizes=(24, 48, 96))
    part_of = steps._Parts(model)
    assert [part_of(f"{head.name}/fc6/MatMul:")[0] for head in model.detection_heads()] == ["head"] * 3


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--backbone", "tiny_fpn", "--json", "."], "--json . is a folder; name a file."),
        ([], "Name what to profile with either --model FILE.keras or --backbone NAME."),
        (["--backbone", "tiny_fpn", "--steps", "0"], "--steps is 0; give at least 1."),
        (["--backbone", "tiny_fpn", "--batch-size", "0"], "--batch-size is 0; give at least 1."),
        (["--model", "a.keras", "--image-size", "64", "80"], "A model has an --image-size of its own;"),
        (["--model", "absent.keras"], "There is no model absent.keras;"),
    ],
)
def test_bad_words(words, sentence, capsys):
    with pytest.raises(SystemExit) as stop:
        profile.main(words)
    assert stop.value.code == 1
    assert capsys.readouterr().err.strip().splitlines()[-1].startswith(sentence)
