"""Evaluate with all workers of a `tf.distribute.Strategy`: each detects in its part of the images.

Letter: N detections of all images.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from keras_frcnn import replicas
from keras_frcnn.data import DetectionDataset
from keras_frcnn.data.splitting import part
from keras_frcnn.evaluation.detecting import Found, detect_set
from keras_frcnn.evaluation.scores import evaluate, score_found


def evaluate_together(
    model: Any,
    dataset: DetectionDataset,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> dict:
    """Score a model on a data set, as `evaluate` does; all workers of its strategy call it.

    Args:
        model: `Detector`.
        dataset: `DetectionDataset`, the same in each worker.
        progress: see `evaluate`; it counts the images of this worker.

    Returns:
        dict as from `evaluate`, equal in all workers but for the time.
    """
    index, count = replicas.worker(model.distribute_strategy)
    if count == 1 or model.only_proposals or len(dataset) < count:
        return evaluate(model, dataset, progress)
    own = range(index, len(dataset), count)
    found = detect_set(model, part(dataset, own, dataset.name), progress)
    rows = [
        np.concatenate(
            [
                np.full([len(one["scores"]), 1], number, np.float64),
                one["boxes"].reshape(-1, 4),
                one["scores"][:, None],
                one["labels"][:, None],
            ],
            axis=1,
        )
        for number, one in zip(own, found.detections)
    ]
    gathered = _gathered(model.distribute_strategy, count, np.concatenate(rows))
    gathered = gathered[np.argsort(gathered[:, 0], kind="stable")]
    bounds = np.searchsorted(gathered[:, 0], np.arange(len(dataset) + 1))
    detections = [
        {
            "boxes": gathered[first:last, 1:5].astype(np.float32),
            "scores": gathered[first:last, 5].astype(np.float32),
            "labels": gathered[first:last, 6].astype(np.int64),
        }
        for first, last in zip(bounds, bounds[1:])
    ]
    return score_found(Found(detections, found.seconds), dataset)


def _gathered(strategy, workers, rows):
    """The rows `[N, 7]` of all workers, from those of this one."""
    each = strategy.num_replicas_in_sync // workers

    def of_replica(context):
        # One replica of each worker brings its rows.
        first = context.replica_id_in_sync_group % each == 0
        return tf.constant(rows if first else rows[:0])

    return strategy.gather(strategy.experimental_distribute_values_from_function(of_replica), axis=0).numpy()
