"""What shows a run while it trains, and what stops it early."""

import csv

import cv2
import pytest

from keras_frcnn.commands import train


@pytest.mark.slow
def test_a_run_that_gets_no_better_stops_early_and_shows_itself(voc, tiny, tmp_path, capsys):
    words = [
        "--train",
        f"voc:{voc}@train",
        "--val",
        f"voc:{voc}@val",
        *tiny,
        "--output",
        str(tmp_path / "run"),
    ]
    words += ["--epochs", "7", "--learning-rate", "1e-9", "--early-stopping", "2", "--tensorboard"]
    folder = train.main(words)
    out = capsys.readouterr().out
    with open(folder / "log.csv") as file:
        scores = [float(row["val_voc_ap50"]) for row in csv.DictReader(file)]
    best = scores.index(max(scores)) + 1
    assert len(scores) == best + 2 < 7
    assert f"Stopped after epoch {best + 2}: no better score for 2 epochs." in out
    assert f"The best epoch was {best}, with" in out
    assert cv2.imread(str(folder / "curves.png")) is not None and "curves.png" in out
    board = folder / "tensorboard"
    assert {path.name for path in board.iterdir()} == {"train", "validation", "detections"}
    assert f"tensorboard --logdir {board}" in out
    # Going on with it trains no epoch more.
    weights = (folder / "last.keras").read_bytes()
    train.main(["--resume", str(folder)])
    assert "This run has stopped early" in capsys.readouterr().out
    assert (folder / "last.keras").read_bytes() == weights
    with open(folder / "log.csv") as file:
        assert len([*csv.DictReader(file)]) == len(scores)


@pytest.mark.parametrize(
    ("words", "status", "sentence"),
    [
        (["--early-stopping", "2"], 1, "--early-stopping needs a validation set"),
        # The command line itself refuses values of recipe fields.
        (["--early-stopping=-1", "--val-split", "0.5"], 2, "early_stopping is -1"),
        (
            ["--early-stopping", "2", "--val-split", "0.5", "--schedule", "alternating"],
            1,
            "needs a score after each",
        ),
    ],
)
def test_early_stopping_is_refused_where_nothing_is_scored(
    voc, tiny, tmp_path, capsys, words, status, sentence
):
    with pytest.raises(SystemExit) as stop:
        train.main(["--train", f"voc:{voc}@train", *tiny, "--output", str(tmp_path), *words])
    assert stop.value.code == status and sentence in capsys.readouterr().err
