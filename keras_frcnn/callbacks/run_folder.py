"""What a training run leaves behind, safe against a pulled plug."""

import math
from pathlib import Path

import keras

from keras_frcnn.files import replacing


class RunFolder(keras.callbacks.Callback):
    """Keep the model after every epoch as `last.keras`, and the best one as `best.keras`.

    A run that is stopped at any moment leaves whole files.

    Args:
        folder: of the run; made if missing.
        monitor: entry of the logs that says which epoch is best; without it only `last.keras` is kept.
    """

    def __init__(self, folder, monitor=None):
        super().__init__()
        self.folder = Path(folder)
        self.monitor = monitor
        self.best = float("-inf")
        self.folder.mkdir(parents=True, exist_ok=True)

    def on_epoch_end(self, epoch, logs=None):
        logs = logs or {}
        if not math.isfinite(logs.get("loss", 0.0)):
            return  # the file of the epoch before is worth more than weights that are not numbers
        save(self.model, self.folder / "last.keras")
        score = logs.get(self.monitor)
        if score is not None and score > self.best:
            self.best = score
            save(self.model, self.folder / "best.keras")


def save(model, path):
    """Write a model as it is; a file of this name is replaced at once, or not at all.

    Args:
        model: `keras.Model`.
        path: `pathlib.Path` that ends in .keras.
    """
    with replacing(path) as partial:
        model.save(partial)
