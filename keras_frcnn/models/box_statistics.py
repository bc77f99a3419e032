"""Mean and deviation of the box targets in a training set.

Letters: P proposals per image, M objects per image, K classes.
"""

import numpy as np
import tensorflow as tf

from keras_frcnn import boxes as box_ops
from keras_frcnn.layers.normalized_dense import NormalizedDense

# For a class with at most one pair.
USUAL_DEVIATION = NormalizedDense.USUAL_DEVIATION


def box_statistics(dataset, positive_iou=0.5, class_agnostic=False, flip=0.5):
    """Mean and deviation of the box targets in each class (Fast R-CNN, section 2.3).

    Args:
        dataset: `DetectionDataset` with proposals.
        positive_iou: minimum IoU of a pair, a proposal and the object that it overlaps most.
        class_agnostic: whether all classes share their statistics.
        flip: probability of mirroring a training image, which flips the sign of t_x. With 0.5, the result
            covers the images and their mirrors together, as in py-faster-rcnn.

    Returns:
        mean, deviation: float32 `[K, 4]`, or `[1, 4]`.

    Raises:
        ValueError: the set has no proposals.
    """
    if dataset.proposals is None:
        raise ValueError(f"{dataset.name} has no proposals; add them with `with_proposals`.")
    coder = box_ops.BoxCoder()
    deltas, labels = [np.zeros([0, 4], np.float32)], [np.zeros([0], np.int64)]
    for record, proposals in zip(dataset.records, dataset.proposals, strict=True):
        objects = record.boxes[~record.ignore]
        if not len(objects):
            continue
        # Training uses the objects as proposals too.
        rois = np.concatenate([proposals, objects])
        iou = box_ops.iou(tf.constant(rois), tf.constant(objects)).numpy()
        match = iou.argmax(-1)
        near = iou.max(-1) >= positive_iou
        deltas.append(coder.encode(tf.constant(objects[match[near]]), tf.constant(rois[near])).numpy())
        labels.append(record.labels[~record.ignore][match[near]])
    deltas, labels = np.concatenate(deltas), np.concatenate(labels)
    groups = [labels >= 0] if class_agnostic else [labels == k for k in range(len(dataset.class_names))]
    mean, deviation = np.zeros([len(groups), 4]), np.tile(USUAL_DEVIATION, [len(groups), 1])
    for index, group in enumerate(groups):
        if group.sum() > 1:
            mean[index], spread = _with_mirrors(deltas[group].mean(0), deltas[group].std(0), flip)
            deviation[index] = np.where(spread > 1e-4, spread, USUAL_DEVIATION)
    return mean.astype(np.float32), deviation.astype(np.float32)


def _with_mirrors(mean, deviation, flip):
    """Mean and deviation `[4]` when t_x changes sign in a fraction `flip` of the deltas."""
    turned = mean * [1.0 - 2.0 * flip, 1.0, 1.0, 1.0]
    # The mean square stays, so the variance gains what the squared mean loses.
    gained = mean**2 * [4.0 * flip * (1.0 - flip), 0.0, 0.0, 0.0]
    return turned, np.sqrt(deviation**2 + gained)
