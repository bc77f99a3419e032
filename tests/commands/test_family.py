"""The commands with the methods before Faster R-CNN: proposals, train, evaluate."""

import json
import shutil
from unittest.mock import Mock

import keras
import pytest

import keras_frcnn as kf
from keras_frcnn.commands import evaluate, proposals, train

WORDS = "--backbone zf --backbone-weights none --image-size 64 80 --epochs 1 --batch-size 3".split()


@pytest.fixture(scope="module")
def sets(voc):
    return ["--train", f"voc:{voc}@train", "--val", f"voc:{voc}@val"]


@pytest.fixture(scope="module")
def searched(voc, tmp_path_factory):
    """Folder with the proposals of selective search for both splits."""
    folder = tmp_path_factory.mktemp("proposals") / "search"
    words = ["--data", f"voc:{voc}@train", "--data", f"voc:{voc}@val", "--output", str(folder), "--top", "40"]
    proposals.main(words)
    return folder


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    """A function that writes the model's arguments to a file for --config."""
    folder = tmp_path_factory.mktemp("config")

    def write(**arguments):
        path = folder / "config.yaml"
        path.write_text(json.dumps({"detector": {"head_units": [8], "head_batch_size": 8, **arguments}}))
        return ["--config", str(path)]

    return write


METHODS = {
    "fast_rcnn": (kf.FastRCNN, {}),
    "sppnet": (kf.SPPNet, {"pool_levels": [1, 2]}),
    "rcnn": (kf.RCNN, {"warp_size": 32, "pool_size": 2, "context": 4}),
}


@pytest.mark.parametrize(
    "method", ["fast_rcnn", *(pytest.param(method, marks=pytest.mark.slow) for method in ("rcnn", "sppnet"))]
)
def test_trains_and_evaluates_on_proposals(method, voc, sets, searched, config, tmp_path):
    kind, arguments = METHODS[method]
    output, exported = tmp_path / "run", tmp_path / "served"
    words = [*sets, *WORDS, *config(**arguments), "--model", method, "--proposals", str(searched)]
    folder = train.main([*words, "--output", str(output), "--export", str(exported)])
    assert isinstance(keras.saving.load_model(folder / "last.keras"), kind)
    assert (folder / "features").is_dir() == (method != "fast_rcnn")
    kept = json.loads((folder / "metrics.json").read_text())
    for model in (folder / "last.keras", exported / "1"):
        words = ["--model", str(model), "--data", f"voc:{voc}@val", "--proposals", str(searched)]
        results = evaluate.main(words)
        assert results["voc_ap50"] == pytest.approx(kept["voc_ap50"], abs=1e-3)


@pytest.mark.slow
def test_an_rpn_makes_proposals_for_others(voc, sets, tmp_path, capsys):
    config = tmp_path / "config.yaml"
    config.write_text("detector: {rpn_channels: 8, rpn_post_nms: [60, 8]}")
    words = ["--model", "rpn", "--config", str(config), "--output", str(tmp_path / "run")]
    folder = train.main([*sets, *WORDS, *words])
    metrics = json.loads((folder / "metrics.json").read_text())
    assert set(metrics["recall"]) == {"0.5", "0.7"}
    model, found = str(folder / "last.keras"), str(tmp_path / "found")
    assert f"Next: python -m keras_frcnn proposals --model {model}" in capsys.readouterr().out
    curve = proposals.main(["--data", f"voc:{voc}@val", "--output", found, "--model", model, "--top", "8"])
    assert curve["recall"] == metrics["recall"]
    exported = str(tmp_path / "served")
    keras.saving.load_model(model).export(exported)
    for one in (model, exported):
        results = evaluate.main(["--model", one, "--data", f"voc:{voc}@val"])
        assert results["recall"] == metrics["recall"]
    assert "recall in percent" in capsys.readouterr().out
    many = proposals.main(["--data", f"voc:{voc}@val", "--output", str(tmp_path / "many"), "--model", model])
    assert many["proposals_per_image"] > curve["proposals_per_image"]


@pytest.mark.slow
def test_both_sets_may_count_their_images_from_one(voc, searched, config, tmp_path):
    """What is cut from one list of proposals for both would be refused: the ids are the same."""
    found = {name: tmp_path / name for name in ("train", "val")}
    boxes = kf.data.proposals.load(searched)
    for name, folder in found.items():
        dataset = kf.data.load(f"voc:{voc}@{name}")
        folder.mkdir()
        ids = [record.image_id for record in dataset.records]
        kf.data.proposals.save_shard(folder / "all.npz", ids, [boxes[one] for one in ids])
    words = [
        "--train",
        f"voc:{voc}@train",
        "--val",
        f"voc:{voc}@val",
        *WORDS,
        *config(),
        "--model",
        "fast_rcnn",
    ]
    words += ["--proposals", str(found["train"]), "--val-proposals", str(found["val"])]
    folder = train.main([*words, "--output", str(tmp_path / "run")])
    assert (folder / "detections.png").is_file()


def test_refuses_proposals_of_other_images_with_the_same_ids(voc, searched, config, capsys, tmp_path):
    other = tmp_path / "other"
    shutil.copytree(voc, other)
    words = ["--train", f"voc:{voc}@train", "--val", f"voc:{other}@train", *WORDS, *config()]
    with pytest.raises(SystemExit):
        train.main([*words, "--model", "fast_rcnn", "--proposals", str(searched)])
    assert "with --val-proposals" in capsys.readouterr().err


@pytest.mark.slow
def test_a_staged_run_goes_on_after_its_fine_tuning(sets, searched, config, tmp_path, monkeypatch, capsys):
    words = [*sets, *WORDS, *config(pool_levels=[1, 2]), "--model", "sppnet", "--proposals", str(searched)]
    words += ["--output", str(tmp_path / "run")]
    with monkeypatch.context() as patch:
        patch.setattr(kf.SPPNet, "_fit_boxes", Mock(side_effect=MemoryError))
        with pytest.raises(MemoryError):
            train.main(words)
    capsys.readouterr()
    features = sorted((tmp_path / "run" / "features").glob("*.npz"))
    times = [file.stat().st_mtime_ns for file in features]
    folder = train.main([*words, "--export", str(tmp_path / "served")])
    assert "epoch 1" not in capsys.readouterr().out
    assert times and [file.stat().st_mtime_ns for file in features] == times
    assert (folder / "metrics.json").is_file() and not (folder / "best.keras").exists()
    with pytest.raises(SystemExit):
        train.main(words)
    assert "holds an earlier run" in capsys.readouterr().err


@pytest.mark.slow
def test_alternating_run_goes_on(voc, sets, tmp_path, capsys):
    config = tmp_path / "config.yaml"
    config.write_text("detector: {rpn_channels: 8, head_units: [8], rpn_post_nms: [60, 30]}")
    words = [
        *sets,
        *WORDS,
        "--config",
        str(config),
        "--schedule",
        "alternating",
        "--output",
        str(tmp_path / "run"),
    ]
    folder = train.main(words)
    assert {"1-rpn", "2-fast-rcnn", "3-rpn-shared", "4-fast-rcnn-shared", "last.keras"} <= {
        path.name for path in folder.iterdir()
    }
    assert "Step 4 of 4" in capsys.readouterr().out
    train.main(words)
    assert "Step" not in capsys.readouterr().out
    with pytest.raises(SystemExit):
        train.main([*words, "--seed", "5"])
    assert "another recipe" in capsys.readouterr().err


def test_evaluates_with_test_time_augmentation(trained, voc):
    model = str(trained.folder / "last.keras")
    results = evaluate.main(["--model", model, "--data", f"voc:{voc}@val", "--tta"])
    assert results["images"] == 4


def test_refuses_proposals_for_a_model_that_makes_its_own(trained, voc, searched, capsys):
    words = ["--model", str(trained.folder / "last.keras"), "--data", f"voc:{voc}@val"]
    with pytest.raises(SystemExit):
        evaluate.main([*words, "--proposals", str(searched)])
    assert "makes its own proposals" in capsys.readouterr().err
