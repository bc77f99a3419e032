"""Files of a training run, which stay intact even after a power failure."""

from pathlib import Path

import keras
import numpy as np

from keras_frcnn.files import replacing

# The score of states without its name.
FORMER = "val_voc_ap50"


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

    def state(self):
        """Return what `Checkpoint` keeps."""
        return {"monitor": self.monitor, "best": self.best, "best_epoch": self.best_epoch}

    def restore(self, state):
        """Go on from a `state`, unless its best score is one of another kind."""
        # Earlier versions kept no name; their RPN had another score than now.
        if state.get("monitor", FORMER) == self.monitor:
            self.best, self.best_epoch = state.get("best", self.best), state.get("best_epoch")

    def on_epoch_end(self, epoch, logs=None):
        logs = logs or {}
        weights = ((variable.path, variable.numpy()) for variable in self.model.variables)
        check_finite(weights, f"{self.folder / 'last.keras'} stays as it was")
        save(self.model, self.folder / "last.keras")
        score = logs.get(self.monitor)
        # Of equal epochs the later one: it has learned for longer.
        if score is not None and score >= self.best:
            save(self.model, self.folder / "best.keras")
            self.best, self.best_epoch = score, epoch


def check_finite(values, consequence):
    """Reject weights that are not finite, so that no file gets them.

    Args:
        values: pairs of name and array.
        consequence: str, what happens to the file instead, for the message.

    Raises:
        ValueError: a value is not finite.
    """
    for name, value in values:
        if not np.isfinite(value).all():
            raise ValueError(f"{name} is no longer finite, so {consequence}; lower the learning rate.")


def save(model, path):
    """Save a model; an existing file is replaced completely, or not at all.

    Args:
        model: `keras.Model`.
        path: `pathlib.Path` that ends in .keras.
    """
    with replacing(path) as partial:
        model.save(partial)
