import json

import keras
import pytest

import keras_frcnn
from keras_frcnn.commands import evaluate
from keras_frcnn.commands.detectors import load_detector

KEYS = {
    "voc07_ap50",
    "voc_ap50",
    "coco_ap",
    "coco_ap50",
    "coco_ap75",
    "per_class",
    "images",
    "seconds_per_image",
}


def refusal(capsys, *words):
    with pytest.raises(SystemExit) as stop:
        evaluate.main([str(word) for word in words])
    assert stop.value.code == 1
    sentence = capsys.readouterr().err.strip()
    assert "\n" not in sentence and sentence.endswith(".")
    return sentence


def test_a_model_and_its_export_score_alike(trained, voc, tmp_path, capsys):
    results = []
    for number, model in enumerate((trained.folder / "last.keras", trained.export)):
        file = tmp_path / "scores" / f"{number}.json"
        evaluate.main(["--model", str(model), "--data", f"voc:{voc}@val", "--json", str(file)])
        results.append(json.loads(file.read_text()))
        assert KEYS <= set(results[-1])
        assert results[-1].pop("seconds_per_image") > 0
        output = capsys.readouterr().out
        assert str(model) in output and "voc07_ap50" in output
    assert results[0] == results[1]
    assert results[0]["images"] == 4
    assert set(results[0]["per_class"]) == {"circle", "cross", "ring", "square", "star", "triangle"}


def test_joins_several_sets(trained, voc):
    results = evaluate.main(
        ["--model", str(trained.export), "--data", f"voc:{voc}@val", "--data", f"voc:{voc}@train"]
    )
    assert results["images"] == 10


def test_the_part_that_training_held_out(trained, voc):
    words = ["--model", str(trained.export), "--data", f"voc:{voc}@train", "--val-split", "0.34"]
    assert evaluate.main(words)["images"] == 2


def test_refuses_a_set_of_other_classes(capsys, voc, tmp_path):
    model = tmp_path / "cat.keras"
    keras_frcnn.FasterRCNN(["cat"], image_size=(64, 80)).save(model)
    assert "circle" in refusal(capsys, "--model", model, "--data", f"voc:{voc}@val")


def test_refuses_what_is_no_detector(capsys, tmp_path):
    words = ["--data", "shapes", "--model"]
    assert "absent" in refusal(capsys, *words, tmp_path / "absent.keras")
    assert "no SavedModel" in refusal(capsys, *words, tmp_path)
    text = tmp_path / "notes.txt"
    text.write_text("x")
    assert "no model" in refusal(capsys, *words, text)
    broken = tmp_path / "broken.keras"
    broken.write_text("x")
    assert "broken.keras cannot be loaded" in refusal(capsys, *words, broken)
    other = tmp_path / "other.keras"
    keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)]).save(other)
    assert "no detector" in refusal(capsys, *words, other)


def test_refuses_an_unknown_set(capsys, tmp_path):
    assert "'nothing'" in refusal(capsys, "--model", tmp_path, "--data", "nothing")


def test_an_export_opens_without_a_warning(trained, caplog):
    load_detector(trained.export)
    assert not caplog.records


def test_load_detector_opens_either_kind(trained):
    model, served = load_detector(str(trained.folder / "last.keras")), load_detector(trained.export)
    assert tuple(model.class_names) == tuple(served.class_names)


@pytest.mark.slow
def test_a_report_and_its_comparison(trained, voc, tmp_path, capsys):
    words = ["--data", f"voc:{voc}@val", "--report"]
    first = evaluate.main(["--model", str(trained.export), *words, str(tmp_path / "first")])
    assert first["proposals"] is None and first["comparison"] is None
    file = tmp_path / "second.json"
    model = str(trained.folder / "last.keras")
    against = ["--against", str(tmp_path / "first" / "report.json"), "--json", str(file)]
    second = evaluate.main(["--model", model, *words, str(tmp_path / "second"), *against])
    assert str(tmp_path / "second" / "report.html") in capsys.readouterr().out
    assert KEYS <= set(second) and json.loads(file.read_text()) == second
    assert (tmp_path / "second" / "report.json").read_text() == file.read_text()
    # An export finds what its model finds.
    assert second["comparison"]["numbers"]["coco_ap50"]["difference"] == 0
    assert second["proposals"]["objects"] > 0
    plain = evaluate.main(["--model", model, "--data", f"voc:{voc}@val"])
    for name, value in plain.items():
        assert name == "seconds_per_image" or second[name] == value


def test_refuses_what_cannot_be_reported_or_compared(capsys, trained, voc, tmp_path):
    words = ["--data", f"voc:{voc}@val", "--model", trained.folder / "last.keras"]
    file = tmp_path / "scores.json"
    file.write_text("{}")
    assert "name its folder with --report" in refusal(capsys, *words, "--against", file)
    assert "is a file; name a folder" in refusal(capsys, *words, "--report", file)
    words += ["--report", tmp_path / "report"]
    assert "no results of single images" in refusal(capsys, *words, "--against", file)
    file.write_text("no JSON")
    assert "is not JSON" in refusal(capsys, *words, "--against", file)
    rpn = tmp_path / "rpn.keras"
    keras_frcnn.RPN("tiny_fpn", "none", image_size=(64, 80)).save(rpn)
    words = ["--data", f"voc:{voc}@val", "--model", rpn, "--report", tmp_path / "report"]
    assert "have no classes; leave --report out" in refusal(capsys, *words)
