"""Average precision at the end of epochs of `fit`."""

import warnings
from collections.abc import Callable
from typing import Any, cast

import keras

from keras_frcnn import _compat, evaluation
from keras_frcnn.data import DetectionDataset

NAMES = ("voc07_ap50", "voc_ap50", "coco_ap", "coco_ap50", "coco_ap75")


class DetectionMetrics(keras.callbacks.Callback):
    """Score the model on a data set and add the scores to the epoch's logs.

    The logs get `val_voc07_ap50`, `val_voc_ap50`, `val_coco_ap`, `val_coco_ap50` and `val_coco_ap75`,
    fractions of 1 (see `keras_frcnn.evaluation.evaluate`), for History, the progress bar and the callbacks
    after this one. Put this callback first: earlier callbacks do not see the scores, and it warns if one of
    them needs the scores.

    Args:
        dataset: `DetectionDataset`, as returned by `keras_frcnn.data.load`; not its batches.
        every: int, score after the first epoch of a `fit`, then every this many epochs, and after the last.
        progress: see `keras_frcnn.evaluation.evaluate`.

    Attributes:
        results: dict, all results of the last evaluation; None before the first.

    Raises:
        ValueError: `dataset` is not a data set, or `every` is below 1.

    Example:
        >>> stop = keras.callbacks.EarlyStopping("val_voc_ap50", mode="max", patience=3)
        >>> model.fit(batches, epochs=12, callbacks=[DetectionMetrics(val), stop])
    """

    def __init__(
        self,
        dataset: DetectionDataset,
        every: int = 1,
        progress: Callable[[int, int], None] = lambda done, total: None,
    ):
        super().__init__()
        if not (hasattr(dataset, "records") and hasattr(dataset, "images")):
            raise ValueError(
                "DetectionMetrics scores a data set as keras_frcnn.data.load gives it, not a "
                f"{type(dataset).__name__}; leave out .batches(...)."
            )
        if every < 1:
            raise ValueError(f"every counts epochs and is at least 1, not {every}.")
        self.dataset = dataset
        self.every = every
        self.progress = progress
        self.results = None
        self._epochs = 0

    def on_train_begin(self, logs=None):
        self._epochs = 0
        every = _compat.neighbors(self)
        before = every[: every.index(self)] if self in every else []
        blind = [type(callback).__name__ for callback in before if _needs_scores(callback)]
        if blind:
            warnings.warn(
                f"{', '.join(blind)} cannot see the scores of DetectionMetrics, which comes later in the "
                "list of callbacks; put DetectionMetrics first.",
                stacklevel=2,
            )

    def state(self):
        """Return what `Checkpoint` keeps."""
        return {"epochs": self._epochs, "results": self.results}

    def restore(self, state):
        """Go on from a `state`."""
        self._epochs, self.results = state["epochs"], state["results"]

    def on_epoch_end(self, epoch, logs=None):
        # Score the first epoch too, because CSVLogger takes its columns from it.
        due = self._epochs % self.every == 0 or epoch + 1 == self.params.get("epochs")
        self._epochs += 1
        if not due:
            return
        self.results = evaluation.evaluate_together(cast(Any, self.model), self.dataset, self.progress)
        if logs is not None:
            scores = {f"val_{name}": self.results.get(name) for name in NAMES}
            logs.update({name: value for name, value in scores.items() if value is not None})


def _needs_scores(callback):
    if isinstance(callback, (keras.callbacks.CSVLogger, keras.callbacks.TensorBoard)):
        return True
    return getattr(callback, "monitor", None) in [f"val_{name}" for name in NAMES]
