"""Stop, or go on without a batch, where a loss or gradient is not finite."""

import math
from pathlib import Path
from typing import Literal

import keras
import numpy as np
import tensorflow as tf

from keras_frcnn import drawing

ACTIONS = ("stop", "skip")


class Diverged(ValueError):
    """The loss, a gradient or the learning rate is not finite; the step was not applied."""


class OnNonFinite(keras.callbacks.Callback):
    """Stop training, or skip a batch, where the loss, a gradient or the learning rate is not finite.

    A detector never applies such a step, with this callback or without it: weights, moving statistics and
    optimizer stay as they were. Gradients that overflow in float16 are no such case, because the optimizer
    lowers its loss scale then. This callback says what happened and keeps the images of the batch, as
    `batches` gave them, with the boxes of the ground truth. Put it before `Checkpoint`. With
    `steps_per_execution`, it acts after the last step of an execution.

    Args:
        action: "stop" raises `Diverged`; "skip" goes on with the next batch, and the logs leave this one out.
        folder: folder for the images; None keeps none. Their files are named either way, if `fit` has the
            batches of a `DetectionDataset`.
        limit: with "skip", the number of skipped batches in a run after which the next one stops it.

    Attributes:
        skipped: int, the number of batches skipped so far.

    Raises:
        ValueError: an argument is out of range.
        Diverged: in `fit`, to stop it.

    Example:
        >>> model.fit(batches, epochs=12, callbacks=[OnNonFinite("skip", "run/nonfinite")])
    """

    def __init__(
        self, action: Literal["stop", "skip"] = "stop", folder: str | Path | None = None, limit: int = 20
    ):
        super().__init__()
        if action not in ACTIONS:
            raise ValueError(f'action is {action!r}; give "stop" or "skip".')
        if limit < 1:
            raise ValueError(f"limit is {limit}; give at least 1.")
        self.action, self.limit = action, limit
        self.folder = None if folder is None else Path(folder)
        self.skipped = 0

    def on_train_begin(self, logs=None):
        update = self.model.finite_update
        self.skipped, self._seen = 0, int(update.refused.numpy())
        update.hidden.assign(self.action == "skip")
        self.model.consumed.undo.append(lambda: update.hidden.assign(False))

    def on_epoch_begin(self, epoch, logs=None):
        self._epoch, self._batches = epoch, int(self.model.consumed.batches.numpy())

    def on_train_batch_end(self, batch, logs=None):
        refused = int(self.model.finite_update.refused.numpy())
        if refused == self._seen:
            return
        self.skipped += refused - self._seen
        self._seen = refused
        place = int(self.model.finite_update.refused_at.numpy())
        # An epoch that `Checkpoint` goes on with begins within.
        step = self.params.get("first_step", 0) + place - self._batches + 1
        what = f"Epoch {self._epoch + 1}, step {step}: {self._reason(logs or {})} not finite"
        images = self._images(place)
        if self.action == "stop" or self.skipped > self.limit:
            before = f" after {self.limit} skipped batches" if self.action == "skip" else ""
            raise Diverged(
                f"{what}{before}, and the step was not applied. {images}Lower the learning rate or mend the "
                "images."
            )
        print(f"{what}; the batch is skipped, {self.skipped} of at most {self.limit}. {images}", flush=True)

    def _reason(self, logs):
        if not math.isfinite(float(self.model.optimizer.learning_rate)):
            return "the learning rate is"
        # With "skip" the logs leave the batch out, and do not show which loss it was.
        if self.action == "skip":
            return "a loss or gradient is"
        losses = [name for name, value in logs.items() if not math.isfinite(value)]
        terms = [name for name in losses if name != "loss"]
        if terms:
            return f"{' and '.join(terms)} {'is' if len(terms) == 1 else 'are'}"
        return "the loss is" if losses else "a gradient is"

    def _images(self, batches):
        """Keep the images of a batch and name their files in a sentence; empty if they are not known."""
        position = self.model.consumed.position
        if position is None:
            return ""
        class_names, records, make = position.one_batch(*self.model.consumed.place(batches))
        names = ", ".join(str(record.file) for record in records)
        if self.folder is None:
            return f"Images: {names}. "
        folder = self.folder / f"batch-{batches + 1:06d}"
        try:
            x, y = make()
            folder.mkdir(parents=True, exist_ok=True)
            for number, record in enumerate(records):
                picture = _with_truth(x, y, number, class_names)
                drawing.write(folder / f"{number}-{Path(str(record.file)).stem}.png", picture)
        except (OSError, tf.errors.OpError):  # pictures must not hide what happened
            return f"Images, which cannot be drawn in {folder}: {names}. "
        return f"Images, drawn in {folder}: {names}. "


def _with_truth(x, y, number, class_names):
    """Draw the boxes of one image of a batch."""
    height, width = x["image_shapes"][number]
    image = np.rint(x["images"][number, :height, :width]).clip(0, 255).astype(np.uint8)
    real = y["labels"][number] >= 0
    truth = {name: y[name][number][real].numpy() for name in ("boxes", "labels")}
    return drawing.draw(image, truth, class_names)
