"""The command doctor: planted faults name their cause first, healthy runs none."""

import json
import pathlib
import re
import shutil

import cv2
import keras
import numpy as np
import pytest
import yaml

import keras_frcnn as kf
from keras_frcnn.commands import doctor, resume, train
from keras_frcnn.data.writers import write_voc
from keras_frcnn.export.settings import with_settings

WEIGHTS = "mobilenet_v2_1.0_coco_ssd_notop.weights.h5"
SHAPES = ("--train", "shapes@train", "--val", "shapes@val")
STORED = pathlib.Path(__file__).parents[1] / "stored" / "trained" / "pyramid.keras"


@pytest.fixture
def examined(tmp_path, capsys):
    """A function that runs the command and returns its status and findings."""

    def run(*words):
        file = tmp_path / "doctor.json"
        status = 0
        try:
            doctor.main([*map(str, words), "--output", str(tmp_path / "doctor"), "--json", str(file)])
        except SystemExit as stop:
            status = stop.code
        text = capsys.readouterr().out
        findings = json.loads(file.read_text())["findings"]
        assert status == (1 if findings else 0)
        assert ("Nothing found. Checked: " in text) == (not findings)
        assert not findings or findings[0]["sentence"] in text
        return status, findings

    return run


@pytest.fixture
def config(tmp_path, tiny):
    """A function that writes a recipe."""

    def write(**values):
        usual = {"backbone": "tiny_fpn", "backbone_weights": "none", "image_size": [64, 80], "batch_size": 3}
        file = tmp_path / "recipe.yaml"
        file.write_text(yaml.safe_dump({**usual, **values}))
        return file

    return write


@pytest.fixture
def copied(voc, tmp_path):
    """A function that copies the data set and changes each annotation by a function of its text."""

    def copy(change):
        root = tmp_path / "copy"
        shutil.copytree(voc, root)
        for file in (root / "Annotations").glob("*.xml"):
            file.write_text(change(file.read_text()))
        return "--train", f"voc:{root}@train", "--val", f"voc:{root}@val"

    return copy


def of_boxes(change):
    """A function of the text of an annotation that changes its boxes."""

    def edit(text):
        def box(match):
            names = ("xmin", "ymin", "xmax", "ymax")
            return "".join(f"<{n}>{v:.4f}</{n}>" for n, v in zip(names, change(*map(float, match.groups()))))

        number = "([0-9.]+)"
        pattern = "".join(f"<{n}>{number}</{n}>" for n in ("xmin", "ymin", "xmax", "ymax"))
        return re.sub(pattern, box, text)

    return edit


def test_sizes_given_as_corners(examined, config, copied):
    sets = copied(of_boxes(lambda x1, y1, x2, y2: (x1, y1, x2 - x1, y2 - y1)))
    _, findings = examined("--config", config(), *sets)
    assert "read as x1, y1, x2, y2" in findings[0]["sentence"]
    assert "as x, y, width, height 100%" in findings[0]["sentence"]


def test_boxes_normalized(examined, config, copied):
    sets = copied(of_boxes(lambda x1, y1, x2, y2: (x1 / 80, y1 / 64, x2 / 80, y2 / 64)))
    _, findings = examined("--config", config(), *sets)
    assert "looks normalized" in findings[0]["sentence"]


def test_all_boxes_ignored(examined, config, copied):
    sets = copied(lambda text: text.replace("<bndbox>", "<difficult>1</difficult><bndbox>"))
    _, findings = examined("--config", config(), *sets)
    assert findings[0]["cause"] == "ignored objects"


def test_a_split_that_is_not_there(examined, config, voc):
    _, findings = examined("--config", config(), "--train", f"voc:{voc}@trian")
    assert "trian" in findings[0]["sentence"]


def test_swapped_splits(examined, config, voc):
    _, findings = examined("--config", config(), "--train", f"voc:{voc}@val", "--val", f"voc:{voc}@train")
    assert findings[0]["cause"] == "wrong split"


def test_anchors_too_large(examined, config):
    sizes = [[500.0 * 2**level] for level in range(5)]
    _, findings = examined("--config", config(detector={"anchor_sizes": sizes}), *SHAPES)
    assert findings[0]["cause"] == "anchors"


@pytest.mark.slow
def test_a_score_threshold_in_the_recipe(examined, config):
    _, findings = examined("--config", config(detector={"score_threshold": 0.99}), *SHAPES)
    assert findings[0]["cause"] == "score threshold"


def test_a_corrupt_backbone_file(examined, config, shared, tmp_path):
    file = tmp_path / "short.weights.h5"
    file.write_bytes((shared / "weights" / WEIGHTS).read_bytes()[:100_000])
    recipe = config(backbone="mobilenet_v2_fpn", backbone_weights=str(file))
    _, findings = examined("--config", recipe, *SHAPES)
    assert findings[0]["cause"] == "backbone weights" and "short.weights.h5" in findings[0]["sentence"]


@pytest.mark.slow
def test_everything_frozen(examined, trained, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(trained.folder, run)
    model = keras.saving.load_model(run / "last.keras")
    model.trainable = False
    model.save(run / "last.keras")
    _, findings = examined("--run", run)
    assert findings[0]["cause"] == "frozen layers"


def test_the_last_model_cannot_be_read(examined, trained, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(trained.folder, run)
    (run / "last.keras").write_bytes((run / "last.keras").read_bytes()[:1000])
    _, findings = examined("--run", run)
    assert "cannot be loaded" in findings[0]["sentence"]


def test_a_trained_model_on_its_own_set(examined):
    assert examined("--model", STORED, "--data", "shapes@val") == (0, [])


def test_a_score_threshold_in_the_model(examined, tmp_path):
    with_settings(keras.saving.load_model(STORED), score_threshold=0.99).save(tmp_path / "strict.keras")
    _, findings = examined("--model", tmp_path / "strict.keras", "--data", "shapes@val")
    assert findings[0]["cause"] == "score threshold"


@pytest.mark.parametrize("words", [[], ["--run", "a", "--model", "b"], ["--model", "b"], ["--val", "shapes"]])
def test_refuses_what_names_no_case(words, capsys):
    with pytest.raises(SystemExit) as stop:
        doctor.main(words)
    assert stop.value.code == 1
    error = capsys.readouterr().err
    assert "--model" in error or "--train" in error


def test_refuses_a_recipe_without_sets(config, tmp_path, capsys):
    with pytest.raises(SystemExit):
        doctor.main(["--config", str(config()), "--output", str(tmp_path / "out")])
    assert "--train" in capsys.readouterr().err


def test_says_from_where_paths_of_a_run_count(config, tmp_path, monkeypatch, capsys):
    started = tmp_path / "started"
    started.mkdir()
    recipe = config()
    recipe.write_text(resume.first_lines(["--train", "shapes@val"], started) + recipe.read_text())
    monkeypatch.setattr(doctor.doctor, "examine", lambda case, sentence_of: [])
    doctor.main(["--config", str(recipe), "--output", str(tmp_path / "out")])
    assert f"Relative paths count from {started}" in capsys.readouterr().out


def test_sets_given_beside_a_run_replace_its_own(config, tmp_path, monkeypatch):
    recipe = config()
    words = ["--train", "shapes@val", "--val-split", "0.2", "--epochs", "3"]
    recipe.write_text(resume.first_lines(words, tmp_path) + recipe.read_text())
    cases = []
    monkeypatch.setattr(doctor.doctor, "examine", lambda case, sentence_of: cases.append(case) or [])
    sets = ["--train", "shapes@val", "--val", "shapes@val"]
    doctor.main(["--config", str(recipe), *sets, "--output", str(tmp_path / "out")])
    assert cases[0].val.name == "shapes@val"
    assert cases[0].specs == {"training": ("shapes@val",), "validation": ("shapes@val",)}
    assert cases[0].training_command == f"python -m keras_frcnn train --epochs 3 {' '.join(sets)}"


def test_a_refused_set_leaves_no_empty_folder(tmp_path, config, voc, capsys):
    output = tmp_path / "pictures"
    with pytest.raises(SystemExit):
        doctor.main(["--config", str(config()), "--train", f"voc:{voc}@trian", "--output", str(output)])
    assert not output.exists()
    assert "fine " not in capsys.readouterr().out


def test_refuses_a_file_as_folder(tmp_path, config, capsys):
    with pytest.raises(SystemExit):
        doctor.main(["--config", str(config()), *SHAPES, "--output", str(config())])
    assert "is a file; name a folder" in capsys.readouterr().err


def test_refuses_a_folder_that_is_no_run(tmp_path, capsys):
    with pytest.raises(SystemExit):
        doctor.main(["--run", str(tmp_path), "--output", str(tmp_path / "out")])
    assert "--run" in capsys.readouterr().err


@pytest.fixture(scope="module")
def shapes_run(tmp_path_factory):
    """A healthy run on the shapes, which takes minutes."""
    folder = tmp_path_factory.mktemp("shapes")
    train.main(["--output", str(folder / "run"), "--export", str(folder / "served"), "--epochs", "2"])
    return folder / "run"


@pytest.mark.slow
def test_nothing_is_found_in_a_healthy_run(examined, shapes_run):
    assert examined("--run", shapes_run) == (0, [])


@pytest.mark.slow
@pytest.mark.parametrize("name, sizes", [("bccd", (240, 320)), ("raccoon", (240, 320))])
def test_nothing_is_found_in_healthy_runs_of_real_sets(examined, shared, tmp_path, name, sizes):
    sets = {"bccd": "trainval", "raccoon": "train"}
    data = shared / "data" / name
    words = f"--train voc:{data}@{sets[name]} --val voc:{data}@test --backbone mobilenet_v2_fpn --epochs 4"
    words += f" --backbone-weights {shared / 'weights' / WEIGHTS} --image-size {sizes[0]} {sizes[1]}"
    train.main([*words.split(), "--output", str(tmp_path / "run")])
    assert examined("--run", tmp_path / "run") == (0, [])


@pytest.mark.slow
@pytest.mark.parametrize("factor, word", [(1000, "high"), (0.001, "low")])
@pytest.mark.parametrize("name", ["shapes", "bccd"])
def test_a_learning_rate_that_is_off(examined, config, shared, name, factor, word):
    if name == "shapes":
        recipe = config(image_size=[256, 320], batch_size=4, learning_rate=0.002 * factor)
        sets = ("--train", "shapes@train", "--val", "shapes@val")
    else:
        weights = str(shared / "weights" / WEIGHTS)
        recipe = config(
            **{"backbone": "mobilenet_v2_fpn", "backbone_weights": weights, "image_size": [240, 320]},
            learning_rate=0.0005 * factor,
        )
        data = shared / "data" / "bccd"
        sets = ("--train", f"voc:{data}@trainval", "--val", f"voc:{data}@test")
    _, findings = examined("--config", recipe, *sets)
    assert findings[0]["cause"] == "learning rate" and f"too {word}" in findings[0]["sentence"]


@pytest.fixture(scope="module")
def model_of_cells(shared, tmp_path_factory):
    """The file of a detector that knows the cells of BCCD."""
    data, run = shared / "data" / "bccd", tmp_path_factory.mktemp("cells") / "run"
    words = f"--train voc:{data}@trainval --val voc:{data}@test --backbone mobilenet_v2_fpn --epochs 2"
    words += f" --backbone-weights {shared / 'weights' / WEIGHTS} --image-size 240 320"
    train.main([*words.split(), "--output", str(run)])
    return run / "last.keras"


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["shifted", "ordered", "bgr", None])
@pytest.mark.filterwarnings("ignore")
def test_a_model_of_cells_on_another_form_of_its_set(examined, shared, model_of_cells, tmp_path, fault):
    data = shared / "data" / "bccd"
    test = kf.data.load(f"voc:{data}@test")
    new = {"shifted": ("RBC", "WBC", "Platelets"), "ordered": ("WBC", "RBC", "Platelets")}
    names = new.get(fault, test.class_names)
    renamed = kf.data.DetectionDataset("renamed", names, test.records, test.source)
    spec = write_voc(renamed, tmp_path / "set", "test")
    if fault == "bgr":
        for file in (tmp_path / "set").glob("JPEGImages/*"):
            cv2.imwrite(str(file), np.ascontiguousarray(cv2.imread(str(file))[..., ::-1]))
    _, findings = examined("--model", model_of_cells, "--data", spec)
    causes = {"shifted": ["labels"], "ordered": ["labels"], "bgr": ["channel order"]}
    assert [finding["cause"] for finding in findings[:1]] == causes.get(fault, [])
    assert fault != "shifted" or "shifted by one" in findings[0]["sentence"]
