"""Pictures and scores of detections for TensorBoard."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import keras
import numpy as np
import tensorflow as tf

from keras_frcnn.data import DetectionDataset
from keras_frcnn.drawing import draw
from keras_frcnn.opencv import cv2

# The longer side of a picture, pixels: TensorBoard keeps all of them in one file.
SIDE = 640


class DetectionBoard(keras.callbacks.Callback):
    """Write pictures of detections beside the ground truth, and a histogram of their scores, each epoch.

    Args:
        folder: folder of the log, for `tensorboard --logdir`.
        dataset: `DetectionDataset`; some of its images, evenly spaced, are drawn.
        settings: the numbers of the run, for the tab HPARAMS; values of other types than numbers, bools and
            str are written as str.
        images: number of images.
        score_threshold: detections with a lower score are not drawn; the histogram has all.

    Raises:
        ValueError: the package tensorboard is not installed.

    Example:
        >>> model.fit(batches, callbacks=[DetectionBoard("board", val, {"rate": 0.01})])
    """

    def __init__(
        self,
        folder: Path | str,
        dataset: DetectionDataset,
        settings: Mapping[str, Any],
        images: int = 8,
        score_threshold: float = 0.5,
    ):
        super().__init__()
        check_installed()
        self.folder = Path(folder)
        self.dataset = dataset
        self.settings = settings
        self.score_threshold = score_threshold
        count = min(images, len(dataset))
        self._chosen = sorted({round(place) for place in np.linspace(0, len(dataset) - 1, count)})

    def on_train_begin(self, logs=None):
        from tensorboard.plugins.hparams import api

        self._writer = tf.summary.create_file_writer(str(self.folder))
        plain = {
            name: value if isinstance(value, (bool, int, float, str)) else str(value)
            for name, value in self.settings.items()
        }
        with self._writer.as_default():
            api.hparams(plain)

    def on_epoch_end(self, epoch, logs=None):
        model = cast(Any, self.model)
        proposals = self.dataset.proposals if model.needs_proposals else None
        scores = []
        with self._writer.as_default(step=epoch):
            for number, index in enumerate(self._chosen):
                image, record = self.dataset.image(index), self.dataset.records[index]
                found = model.detect(image, *([proposals[index]] if proposals else []))
                scores.append(found["scores"])
                tf.summary.image(
                    f"detections and ground truth/{number}", self._pair(image, found, record)[None]
                )
            tf.summary.histogram("scores", np.concatenate(scores))
            for name in dict.fromkeys((model.score_name, "val_voc_ap50", "val_coco_ap")):
                if name in (logs or {}):
                    tf.summary.scalar(name, logs[name])  # the tab HPARAMS looks for it here
        self._writer.flush()

    def on_train_end(self, logs=None):
        self._writer.close()

    def _pair(self, image, found, record):
        """The image with its detections, and beside it with the ground truth."""
        # Shrink before drawing, so that lines and text stay readable.
        height, width = image.shape[:2]
        factor = min(1.0, SIDE / max(height, width))
        size = max(1, round(width * factor)), max(1, round(height * factor))
        ratio = np.array([*size, *size]) / [width, height, width, height]
        small = image if factor == 1 else cv2.resize(image, size, interpolation=cv2.INTER_AREA)
        found = {**found, "boxes": found["boxes"] * ratio}
        truth = {"boxes": record.boxes * ratio, "labels": record.labels}
        drawn = [
            draw(small, found, self.model.class_names, self.score_threshold),
            draw(small, truth, self.dataset.class_names),
        ]
        return np.concatenate(drawn, axis=1)


def check_installed() -> None:
    """Raise a ValueError with the remedy unless the package tensorboard is installed."""
    try:
        import tensorboard.plugins.hparams.api  # noqa: F401
    except ImportError as error:
        raise ValueError(
            f"A log for TensorBoard needs the package tensorboard ({error}); install "
            "keras_frcnn[tensorboard]."
        ) from None
