"""The log of a run as a CSV file."""

import csv
import io

import keras

from keras_frcnn.files import read_text, write_text

# What stands where an epoch has no such number.
MISSING = "NA"


class EpochLog(keras.callbacks.Callback):
    """Write the logs of every epoch to a CSV file, which is complete at any moment.

    Args:
        path: file to write; one from an earlier run is replaced at the end of the first epoch.

    Attributes:
        rows: list of dicts, "epoch" and the logs of each epoch so far.
    """

    def __init__(self, path):
        super().__init__()
        self.path = path
        self.rows = []

    def state(self):
        """Return what `Checkpoint` keeps."""
        return {"rows": self.rows}

    def restore(self, state):
        """Go on from a `state`."""
        self.rows = list(state["rows"])

    def on_train_begin(self, logs=None):
        self.rows = []

    def on_epoch_end(self, epoch, logs=None):
        self.rows = [*self.rows, {"epoch": epoch, **{name: float(value) for name, value in logs.items()}}]
        names = ["epoch", *sorted({name for row in self.rows for name in row} - {"epoch"})]
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, names, restval=MISSING, lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.rows)
        write_text(self.path, text.getvalue())


def read_rows(path):
    """Read the log of a run.

    Args:
        path: `pathlib.Path` that `EpochLog` wrote.

    Returns:
        list of dicts of str, one for each epoch, without the numbers that it does not have.
    """
    rows = csv.DictReader(read_text(path).splitlines())
    return [{name: value for name, value in row.items() if value not in (None, "", MISSING)} for row in rows]
