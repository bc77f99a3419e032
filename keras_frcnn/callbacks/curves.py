"""The curves of a run as a picture."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras

from keras_frcnn.callbacks.epoch_log import EpochLog
from keras_frcnn.files import replacing

# Seconds between two drawings: short epochs would spend their time on it.
INTERVAL = 30
SCORES = (
    *("proposal_recall", "val_proposal_recall", "val_average_recall"),
    *("val_voc07_ap50", "val_voc_ap50", "val_coco_ap"),
)


class Curves(keras.callbacks.Callback):
    """Draw the losses and the scores of all epochs so far into a picture.

    Args:
        log: `EpochLog` of the same `fit`, which comes before this callback.
        path: image file to write; an existing one is replaced.
    """

    def __init__(self, log: EpochLog, path: Path):
        super().__init__()
        self._log = log
        self._path = path
        self._drawn = float("-inf")

    def on_epoch_end(self, epoch, logs=None):
        if time.monotonic() - self._drawn >= INTERVAL:
            draw(self._log.rows, self._path)
            self._drawn = time.monotonic()

    def on_train_end(self, logs=None):
        if self._log.rows:
            draw(self._log.rows, self._path)


def draw(rows: Sequence[dict[str, Any]], path: Path) -> None:
    """Draw the losses and the scores of epochs.

    Args:
        rows: dicts of "epoch" and the logs of each epoch.
        path: image file to write.
    """
    from matplotlib.figure import Figure  # slow import (one second) that few callers need
    from matplotlib.ticker import MaxNLocator

    figure = Figure(figsize=(11, 5.2), layout="constrained")
    losses, scores = figure.subplots(1, 2)
    names = dict.fromkeys(name for row in rows for name in row)
    epochs = [row["epoch"] + 1 for row in rows]
    for axes, wanted in (
        (losses, [name for name in names if name.endswith("loss")]),
        (scores, [name for name in SCORES if name in names]),
    ):
        # Training and validation share a color.
        colors = {name: f"C{place}" for place, name in enumerate(dict.fromkeys(map(_plain, wanted)))}
        for name in wanted:
            style, plain = "--" if name.startswith("val_") else "-", _plain(name)
            values = [row.get(name, float("nan")) for row in rows]
            width = 2 if plain == "loss" else 1
            axes.plot(epochs, values, style, color=colors[plain], label=name, marker=".", linewidth=width)
        axes.set(xlabel="epoch", xlim=(min(epochs) - 0.5, max(epochs) + 0.5))
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(alpha=0.3)
        if wanted:
            axes.legend(fontsize=8, loc="upper left", bbox_to_anchor=(0, -0.14), ncols=3)
    losses.set(title="losses", ylim=(0, None))
    scores.set(title="scores", ylim=(0, 1.02))
    with replacing(path) as partial:
        figure.savefig(partial, dpi=110)


def _plain(name):
    return name.removeprefix("val_")
