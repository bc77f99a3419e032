import csv
import json
import os
import signal
import subprocess
import sys
import types
from pathlib import Path

import keras
import numpy as np
import pytest
import yaml

import keras_frcnn
from keras_frcnn import images as image_ops
from keras_frcnn.callbacks import Diverged, OnNonFinite
from keras_frcnn.callbacks.run_folder import RunFolder
from keras_frcnn.commands import resume, train, train_summary
from keras_frcnn.training import recipe as recipes
from keras_frcnn.training import recipe_files

FILES = [
    "best.keras",
    "checkpoints",
    "config.yaml",
    "curves.png",
    "detections.png",
    "last.keras",
    "log.csv",
    "metrics.json",
]


def refusal(capsys, *words):
    """The one sentence that the command ends with."""
    with pytest.raises(SystemExit) as stop:
        train.main([str(word) for word in words])
    assert stop.value.code == 1
    sentence = capsys.readouterr().err.strip()
    assert "\n" not in sentence and sentence.endswith(".")
    return sentence


def test_leaves_a_whole_run_folder(trained):
    found = sorted(path.name for path in trained.folder.iterdir())
    assert found == FILES
    assert yaml.safe_load((trained.folder / "config.yaml").read_text())["image_size"] == [64, 80]
    with open(trained.folder / "log.csv") as file:
        (row,) = csv.DictReader(file)
    metrics = json.loads((trained.folder / "metrics.json").read_text())
    assert float(row["val_voc_ap50"]) == pytest.approx(metrics["voc_ap50"])
    assert metrics["images"] == 4
    assert image_ops.read(trained.folder / "detections.png").ndim == 3


@pytest.mark.parametrize(
    "score, part", [(0.1, "keras_frcnn doctor --run"), (0.5, "keras_frcnn predict --model")]
)
def test_the_next_command(tmp_path, capsys, score, part):
    (tmp_path / "metrics.json").write_text(json.dumps({"voc_ap50": score}))
    run = types.SimpleNamespace(schedule="joint", tensorboard=False, model="faster_rcnn")
    train_summary.summary(run, tmp_path, "0:07", None)
    assert part in capsys.readouterr().out.splitlines()[-1]


def test_keeps_models_that_load(trained):
    model = keras.saving.load_model(trained.folder / "last.keras")
    assert len(model.class_names) == 6 and model.image_size == (64, 80)
    assert (trained.export / "saved_model.pb").is_file()


def test_tells_what_it_does(trained):
    for text in (
        "6 images",
        "weights from",
        "epoch 1/1",
        "voc07_ap50",
        str(trained.folder),
        str(trained.export),
    ):
        assert text in trained.output


@pytest.mark.slow
def test_a_stopped_run_goes_on(voc, tiny, tmp_path, monkeypatch, capsys):
    words = ["--train", f"voc:{voc.name}@train", *tiny, "--backbone", "zf", "--epochs", "2"]
    folder = tmp_path / "a run"
    with monkeypatch.context() as patch:
        patch.chdir(voc.parent)
        patch.setattr(RunFolder, "on_epoch_end", lambda *_, **__: os.kill(os.getpid(), signal.SIGTERM))
        with pytest.raises(SystemExit) as stop:
            train.main([*words, "--output", str(folder)])
    assert stop.value.code == 128 + signal.SIGTERM
    command = capsys.readouterr().err.strip().splitlines()[-1]
    assert command.endswith(f"Go on with: python -m keras_frcnn train --resume '{folder}'")
    here = Path.cwd()
    assert train.main(["--resume", str(folder)]) == folder and Path.cwd() == here
    output = capsys.readouterr().out
    assert f"Relative paths count from {voc.parent}, where the run was started." in output
    assert "epoch 1, step 3." in output
    with open(folder / "log.csv") as file:
        assert [row["epoch"] for row in csv.DictReader(file)] == ["0", "1"]
    assert keras.saving.load_model(folder / "last.keras").arguments["backbone"] == "zf"


@pytest.mark.slow
@pytest.mark.parametrize("further", [[], ["--deterministic"]])
def test_two_processes_with_one_seed_end_with_the_same_bits(voc, tiny, tmp_path, further):
    found = []
    for number in range(2):
        output = tmp_path / f"run{number}"
        words = ["--train", f"voc:{voc}@train", *tiny, "--steps", "30", *further, "--output", output]
        program = "import sys; from keras_frcnn.commands import train; train.main(sys.argv[1:])"
        answer = subprocess.run([sys.executable, "-c", program, *words], capture_output=True, text=True)
        assert answer.returncode == 0, answer.stderr[-2000:]
        model = keras.saving.load_model(output / "last.keras")
        found.append([variable.numpy() for variable in (*model.variables, *model.optimizer.variables)])
    for first, second in zip(*found, strict=True):
        np.testing.assert_array_equal(first, second)


def test_a_run_without_a_checkpoint_begins_anew(tmp_path, capsys):
    (tmp_path / "config.yaml").write_text("# train.py --train shapes@train\nepochs: 3\n")
    words = resume.original_words(tmp_path, (tmp_path / "config.yaml").read_text())
    assert "has no checkpoint yet; the run begins anew." in capsys.readouterr().out
    run = train.parse(resume.merged(words, ["--epochs", "5"], resume.settings(tmp_path)))
    assert (run.train, run.epochs, run.output) == (("shapes@train",), 5, tmp_path)


def test_where_relative_paths_count_from(tmp_path):
    lines = resume.first_lines(["--seed", "3"], tmp_path)
    assert resume.after_first_lines(lines + "epochs: 3\n") == "epochs: 3\n"
    assert resume.working_folder(lines) == tmp_path
    assert resume.working_folder(resume.first_lines([], tmp_path / "gone")) == Path.cwd()
    older = "# train.py --seed 3\nepochs: 3\n"
    assert resume.after_first_lines(older) == "epochs: 3\n" and resume.working_folder(older) == Path.cwd()


@pytest.mark.parametrize("given", [["--resume", "a run"], ["--resume=a run"]])
def test_what_stands_beside_resume_overrides(given):
    assert resume.beside_resume(["--seed", "3", *given, "--epochs", "5"]) == ["--seed", "3", "--epochs", "5"]


def test_what_is_given_anew_replaces_what_was_recorded():
    original = "--train a --train=b --val c --steps 80 --seed 1".split()
    words = resume.merged(original, ["--train", "d", "--epochs=9"], ["--config", "file"])
    assert words == "--val c --seed 1 --config file --train d --epochs=9".split()
    assert resume.merged(original, []) == original


def test_refuses_to_resume_what_is_no_run(tmp_path, capsys):
    assert "name the folder of a run with --resume" in refusal(capsys, "--resume", tmp_path)
    (tmp_path / "config.yaml").write_text("epochs: 3\n")
    assert "does not begin with the command of a run" in refusal(capsys, "--resume", tmp_path)


@pytest.mark.slow
def test_exports_the_next_version(trained, voc, tiny, tmp_path):
    folder = train.main(
        [
            "--train",
            f"voc:{voc}@train",
            *tiny,
            "--output",
            str(tmp_path),
            "--export",
            str(trained.export.parent),
        ]
    )
    assert (trained.export.parent / "2" / "saved_model.pb").is_file()
    # Without a validation set there is nothing to measure.
    assert sorted(path.name for path in folder.iterdir()) == [
        name for name in FILES if name not in ("best.keras", "metrics.json")
    ]


def test_a_run_can_be_repeated_from_its_configuration(trained):
    voc = trained.voc
    again = train.parse(["--train", f"voc:{voc}@train", "--config", str(trained.folder / "config.yaml")])
    words, where, sets, saved = (trained.folder / "config.yaml").read_text().split("\n", 3)
    assert words.startswith(f"# train.py --train voc:{voc}@train")
    assert where == f"# in {Path.cwd()}"
    assert sets == f"# sets: ['voc:{voc}@train'] ['voc:{voc}@val'] joint"
    assert recipe_files.to_yaml(train.recipe_of(again)) == saved


def test_without_words_it_learns_the_shapes():
    run = train.parse([])
    assert run.train == ("shapes@train",) and run.val == ("shapes@val",)
    assert str(run.export) == "saved_models/shapes"
    assert train.recipe_of(run) == recipe_files.load("shapes")


def test_shapes_by_name_get_their_recipe_too():
    run = train.parse(["--train", "shapes", "--epochs", "1"])
    assert run.train == ("shapes",) and run.val == ("shapes@val",) and run.export is None
    assert run.backbone == "tiny_fpn" and run.epochs == 1


def test_the_command_line_goes_over_the_file_and_the_file_over_the_recipe(tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text("epochs: 7\nbatch_size: 2\n")
    run = train.parse(["--train", "shapes", "--recipe", "shapes", "--config", str(file), "--batch-size", "3"])
    assert run.backbone == recipe_files.load("shapes").backbone
    assert run.epochs == 7
    assert run.batch_size == 3


def test_sets_of_ones_own_start_from_the_defaults():
    run = train.parse(["--train", "a", "--train", "b", "--val", "c"])
    assert run.train == ("a", "b") and run.val == ("c",) and run.export is None
    assert train.recipe_of(run) == recipes.Recipe()


def test_a_bare_shapes_is_the_training_split(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(recipes.Recipe, "build", lambda *arguments: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        train.main(["--train", "shapes", "--val", "shapes", "--output", str(tmp_path)])
    output = capsys.readouterr().out
    assert "shapes@train" in output and "shapes@val" in output


def test_refuses_an_earlier_run_folder(capsys, trained, voc):
    sentence = refusal(capsys, "--train", f"voc:{voc}@train", "--output", trained.folder)
    assert str(trained.folder) in sentence and "--output" in sentence


def test_refuses_what_it_does_not_know(capsys, tmp_path):
    assert "'speed'" in refusal(capsys, "--recipe", "speed")
    assert "'voc'" in refusal(capsys, "--train", "voc", "--output", tmp_path)
    file = tmp_path / "mine.yaml"
    file.write_text("epoch: 7\n")
    assert "epoch;" in refusal(capsys, "--config", file)
    file.write_text("epochs: many\n")
    assert "'many'" in refusal(capsys, "--config", file)
    assert "absent.yaml" in refusal(capsys, "--config", tmp_path / "absent.yaml")


def test_refuses_a_number_out_of_range(capsys):
    with pytest.raises(SystemExit):
        train.main(["--epochs", "0"])
    assert "epochs is 0" in capsys.readouterr().err


def test_refuses_a_missing_data_set_before_it_makes_a_folder(capsys, tmp_path):
    refusal(capsys, "--train", f"voc:{tmp_path}/absent@train", "--output", tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_says_that_the_loss_is_lost(capsys, voc, tiny, tmp_path, monkeypatch):
    def diverge(self, *words, callbacks, **options):
        (one,) = [callback for callback in callbacks if isinstance(callback, OnNonFinite)]
        assert (one.action, one.folder) == ("skip", tmp_path / "nonfinite")
        raise Diverged("The loss is not finite.")

    monkeypatch.setattr(keras_frcnn.FasterRCNN, "fit", diverge)
    words = ["--train", f"voc:{voc}@train", *tiny, "--output", tmp_path, "--on-nonfinite", "skip"]
    command = f"python -m keras_frcnn train --resume {tmp_path} --learning-rate RATE"
    assert refusal(capsys, *words).endswith(f"The loss is not finite. Go on with `{command}`.")


@pytest.mark.parametrize("rate", ["nan", "inf", "0"])
def test_refuses_a_rate_that_is_no_rate(capsys, rate):
    with pytest.raises(SystemExit):
        train.main(["--learning-rate", rate])
    assert f"learning_rate is {float(rate)}; it must be above 0 and finite." in capsys.readouterr().err


def test_names_an_undecodable_image(capsys, voc, tiny, tmp_path):
    root = tmp_path / "voc"
    for folder in ("Annotations", "ImageSets/Main", "JPEGImages"):
        (root / folder).mkdir(parents=True)
        for path in (voc / folder).iterdir():
            (root / folder / path.name).write_bytes(path.read_bytes())
    whole = (root / "JPEGImages/train2.jpg").read_bytes()
    (root / "JPEGImages/train2.jpg").write_bytes(whole[: len(whole) // 2])
    sentence = refusal(
        capsys, "--train", f"voc:{root}@train", *tiny, "--backbone", "zf", "--output", tmp_path / "run"
    )
    assert "train2.jpg" in sentence and "--on-broken skip" in sentence


def test_refuses_an_argument_out_of_range_before_training(voc, tiny, tmp_path, capsys):
    config = tmp_path / "own.yaml"
    config.write_text("detector: {score_threshold: 30, max_detections: 0}")
    words = ["--train", f"voc:{voc}@train", *tiny, "--config", config, "--output", tmp_path / "run"]
    assert refusal(capsys, *words) == "score_threshold is 30; give a number, 0 to 1."
    assert not (tmp_path / "run").exists()


def test_epochs_win_over_the_steps_of_a_recipe():
    run = train.parse(["--recipe", "vgg16_voc07", "--train", "voc:x@y", "--epochs", "3"])
    assert (run.epochs, run.steps) == (3, 0)
    assert train.parse(["--recipe", "vgg16_voc07", "--train", "voc:x@y"]).steps == 70000


def test_refuses_what_does_not_go_together(voc, tiny, tmp_path, capsys):
    words = ["--train", f"voc:{voc}@train", *tiny, "--output", tmp_path / "run"]
    assert "proposals" in refusal(capsys, *words, "--model", "fast_rcnn")
    assert "leave --proposals out" in refusal(capsys, *words, "--proposals", tmp_path)
    assert "joint" in refusal(capsys, *words, "--model", "rpn", "--schedule", "alternating")
    assert not (tmp_path / "run").exists()
