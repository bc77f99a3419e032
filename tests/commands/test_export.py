import json

import numpy as np
import pytest

from keras_frcnn import export
from keras_frcnn.callbacks.epoch_log import EpochLog
from keras_frcnn.commands import export as command
from keras_frcnn.commands.provenance import provenance


def run(*words):
    return command.main([str(word) for word in words])


def refused(capsys, *words):
    with pytest.raises(SystemExit) as stop:
        run(*words)
    assert stop.value.code == 1
    (sentence,) = capsys.readouterr().err.splitlines()
    return sentence


def test_counts_versions_and_takes_settings(trained, voc, tmp_path, capsys):
    output = tmp_path / "saved_models" / "shapes"
    model = trained.folder / "last.keras"
    assert run("--model", model, "--output", output) == output / "1"
    assert run("--model", model, "--output", output, "--version", 7) == output / "7"
    words = "--max-detections 4 --score-threshold 0 --nms-iou 0.3 --image-size 48 60 --precision bfloat16"
    words += " --max-bytes 100000 --max-pixels 5000"
    assert run("--model", model, "--output", output, *words.split()) == output / "8"
    assert capsys.readouterr().out.splitlines()[-1] == f"SavedModel for TF-Serving: {output / '8'}"
    assert sorted(path.name for path in output.iterdir()) == ["1", "7", "8"]

    description = json.loads((output / "8" / "assets" / "model.json").read_text("utf-8"))
    expected = {
        "backbone": "tiny_fpn",
        "weights_source": "none",
        "max_detections": 4,
        "score_threshold": 0.0,
        "nms_iou": 0.3,
        "image_size": [48, 60],
        "precision": "bfloat16",
        "max_bytes": 100_000,
        "max_pixels": 5000,
    }
    assert {key: description[key] for key in expected} == expected
    image = voc / "JPEGImages" / "val0.jpg"
    assert len(export.load(output / "8").detect(image)["scores"]) == 4
    plain = [export.load(path).detect(image) for path in (output / "1", trained.export)]
    np.testing.assert_allclose(plain[0]["scores"], plain[1]["scores"], atol=1e-4)

    cards = [(path / "model_card.md").read_text("utf-8") for path in (output / "1", trained.export)]
    for card in cards:
        assert "Trained with\n\n```\ntrain.py --train voc:" in card
        assert "VOC 2007" in card and "COCO" in card


def test_says_what_is_not_known(trained, tmp_path):
    (tmp_path / "model.keras").write_bytes((trained.folder / "last.keras").read_bytes())
    path = run("--model", tmp_path / "model.keras", "--output", tmp_path / "out")
    assert (path / "model_card.md").read_text("utf-8").count("Not recorded.") == 2


def test_refuses(trained, tmp_path, capsys):
    model, file = trained.folder / "last.keras", tmp_path / "file"
    file.write_text("")
    (tmp_path / "1").mkdir()
    assert "1 exists already" in refused(capsys, "--model", model, "--output", tmp_path, "--version", 1)
    assert "versions count from 1" in refused(capsys, "--model", model, "--output", tmp_path, "--version", 0)
    assert "is a file; name a folder" in refused(capsys, "--model", model, "--output", file)
    assert "is an export already" in refused(capsys, "--model", trained.export, "--output", tmp_path)
    assert "nms_iou is 50.0; give a number, 0 to 1" in refused(
        capsys, "--model", model, "--output", tmp_path, "--nms-iou", 50
    )
    assert "1 is a version itself; name the" in refused(capsys, "--model", model, "--output", tmp_path / "1")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["1", "file"]


def test_scores_of_the_best_epoch(trained, tmp_path, capsys):
    (tmp_path / "config.yaml").write_text("# train.py --train voc:x\n")
    log = EpochLog(tmp_path / "log.csv")
    for epoch, score in enumerate((0.25, 0.5, 0.5)):
        log.on_epoch_end(epoch, {"loss": 3.0 - epoch, "val_voc_ap50": score})
    log.on_epoch_end(3, {"loss": 0.5})
    metrics = provenance(tmp_path / "best.keras")["metrics"].splitlines()
    # The later of two equal epochs, as best.keras is.
    assert metrics[0] == "validation set, after epoch 3; scores in percent:"
    assert metrics[1].startswith("voc_ap50              50.0  PASCAL VOC 2010-12")
    assert provenance(tmp_path / "last.keras")["metrics"] is None
    (tmp_path / "metrics.json").write_text('{"images": 3}')
    (tmp_path / "last.keras").write_bytes((trained.folder / "last.keras").read_bytes())
    sentence = refused(capsys, "--model", tmp_path / "last.keras", "--output", tmp_path / "out")
    assert f"{tmp_path / 'metrics.json'} is damaged" in sentence
