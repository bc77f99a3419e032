"""Files of a training run, which stay intact even after a power failure."""

import math
from pathlib import Path

import keras

from keras_frcnn.files import replacing


class RunFolder(keras.callbacks.Callback):
    """Keep the model after every epoch as `last.keras`, and the best one as `best.keras`.

    The files are complete no matter when the run stops.

    Args:
        folder: folder of the run; created if missing.
        monitor: log entry that selects the best epoch; without it, only `last.keras` is kept.
    """

    def __init__(self, folder, monitor=None):
        super().__init__()
        self.folder = Path(folder)
        self.monitor = monitor
        self.best, self.best_epoch = float("-inf"), None
        self.folder.mkdir(parents=True, exist_ok=True)

    def on_epoch_end(self, epoch, logs=None):
        logs = logs or {}
        if not math.isfinite(logs.get("loss", 0.0)):
            return  # keep the file of the previous epoch instead of saving weights that are not finite
        save(self.model, self.folder / "last.keras")
        score = logs.get(self.monitor)
        if score is not None and score > self.best:
            save(self.model, self.folder / "best.keras")
            self.best, self.best_epoch = score, epoch


def save(model, path):
    """Save a model; an existing file is replaced completely, or not at all.

    Args:
        model: `keras.Model`.
        path: `pathlib.Path` that ends in .keras.
    """
    with replacing(path) as partial:
        model.save(partial)
