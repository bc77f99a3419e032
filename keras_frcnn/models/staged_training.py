"""The stages that R-CNN and SPPnet go through after their network is fine-tuned.

Letters: B images, P proposals, R regions of an image, D features, F pooled features, K classes.
"""

import hashlib
import itertools
import json
import zipfile
from functools import cached_property
from pathlib import Path
from typing import Annotated, TypedDict

import numpy as np
import tensorflow as tf

from keras_frcnn import boxes as box_ops
from keras_frcnn.files import replacing
from keras_frcnn.models.external_proposals import ExternalProposals
from keras_frcnn.models.linear_models import HardNegativeSVM, Ridge, svm_class
from keras_frcnn.models.region_stage import RegionStage
from keras_frcnn.sampling import IGNORE_COVER

CLASSIFIERS = ("softmax", "svm")

# Arguments that do not affect cached features; left out of the cache key.
NO_FEATURES = (
    "name",
    "backbone",
    "weights_source",
    "seed",
    "svm_c",
    "svm_negative_iou",
    "box_ridge",
    "score_threshold",
    "nms_iou",
    "max_detections",
)

# R-CNN scales features to this mean norm, for which its C and λ were chosen. It takes the mean over so many
# images and regions of each, drawn among all (`rcnn_feature_stats` of the released code).
TARGET_NORM = 20.0
NORM_IMAGES, NORM_REGIONS = 200, 200


class StageArguments(TypedDict, total=False):
    """What is learned after `fit`."""

    classifier: Annotated[
        str,
        "softmax",
        '"softmax", that of the fine-tuned network, or "svm", one a class (R-CNN, section 2.3).',
    ]
    svm_c: Annotated[float, 0.001, "cost of the SVMs, above 0; R-CNN, rcnn_train.m."]
    svm_negative_iou: Annotated[
        float,
        0.3,
        "a region is a negative of a class below this IoU with its objects, 0 to 1; R-CNN, section 2.3.",
    ]
    box_positive_iou: Annotated[
        float, 0.6, "boxes are regressed from regions with at least this IoU, 0 to 1; R-CNN, appendix C."
    ]
    box_ridge: Annotated[float, 1000.0, "λ of that regression, above 0; R-CNN, appendix C."]
    seed: Annotated[int, 0, "of the SVM solver."]


class StagedTraining(ExternalProposals):
    """Base of the methods that learn classes in `fit` and the rest in `finish_training`.

    Boxes are regressed from the pooled features, and only afterwards; classes by the softmax of the
    fine-tuned network or by linear SVMs on its features (R-CNN, section 2.3 and appendices B and C).
    """

    has_stages = True

    def checked_backbone(self, backbone):
        if backbone.pyramid:
            raise ValueError(
                f"{type(self).__name__} needs a backbone of one feature map, such as vgg16 or mobilenet_v2; "
                f"{backbone.network.name} has {len(backbone.strides)}."
            )
        return backbone

    def assemble_linear_models(self):
        """Check the classifier, and keep the box regressors out of `fit`."""
        if self.arguments["classifier"] not in CLASSIFIERS:
            raise ValueError(
                f"Unknown classifier {self.arguments['classifier']!r}; use {' or '.join(CLASSIFIERS)}."
            )
        self.head.box_dense.trainable = False
        self.head.box_dense.set_weights([np.zeros(weight.shape) for weight in self.head.box_dense.weights])
        # SVMs answer in margins, the network in logits against the background.
        self.margins = self.add_weight(name="margins", shape=(), initializer="zeros", trainable=False)

    def connect_stages(self):
        self.regions = RegionStage.of(
            self.pool, self.head, self.arguments, learns_boxes=False, probabilities=self.probabilities
        )

    def probabilities(self, class_logits):
        """Scores 0–1 `[B, R, K + 1]` of what the classifier answers."""
        # A detection's class is asked for by each SVM alone, and the softmax compares them.
        return tf.where(self.margins > 0.0, tf.sigmoid(class_logits), tf.nn.softmax(class_logits))

    @cached_property
    def _regions_function(self):
        return tf.function(self.region_features, input_signature=list(self.detect_signature), autograph=False)

    def region_features(self, images, image_size, proposals):
        """What the classifiers and the regressors see of regions; arguments as of `detect_batch`.

        Returns:
            float32 `[R, D]`, what the last fully connected layer answers, and `[R, F]`, what is pooled.
        """
        features, pooled = self.head.features(self.pool_regions(images, image_size, proposals))
        return tf.cast(features, tf.float32), tf.cast(pooled, tf.float32)

    def prepare_training(self, dataset, flip=0.5):
        """Refuse now what would fail after hours; a model with SVMs that is trained again gives them up."""
        if self.arguments["classifier"] == "svm":
            svm_class()
        self.margins.assign(0.0)

    def finish_training(self, dataset, folder, progress=lambda done, total: None):
        """Cache features on disk, then train the SVMs if the recipe has them, and the box regressors.

        Args:
            dataset: `DetectionDataset` with proposals, the one that `fit` had.
            folder: for the cache, one file an image; a file that this model made is not made again.
            progress: function that is called after each image with the number cached and the total.
        """
        files = self.cache_features(dataset, folder, progress)
        if self.arguments["classifier"] == "svm":
            self._fit_svms(files)
        self._fit_boxes(files)

    def cache_features(self, dataset, folder, progress=lambda done, total: None):
        """Write the features of every region of a set.

        Args:
            dataset, folder, progress: as of `finish_training`.

        Returns:
            list of files, `.npz` with "boxes" `[R, 4]`, the objects then the proposals, "objects" (how many
            are objects), "labels" of the objects, "overlaps" `[R, objects]`, "left_alone" `[R]`, whether an
            ignored region covers a box, "features" `[R, D]` (with SVMs), "pooled" `[Q, F]` of the regions
            "pairs" `[Q]` that boxes are regressed from, and "norms", those of what is pooled from the drawn
            regions. "key" tells what they follow from.
        """
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        model_key = self._key()
        files = []
        images = zip(dataset.records, dataset.proposals, _draw(dataset), strict=True)
        for index, (record, proposals, drawn) in enumerate(images):
            key = hashlib.sha256(model_key + record.boxes.tobytes() + proposals.tobytes() + drawn.tobytes())
            key.update(f"{record.image_id} {record.file}".encode())
            files.append(folder / f"{index:06d}.npz")
            if not _has_key(files[-1], key.hexdigest()):
                arrays = self._regions_of(dataset.image(index), record, proposals, drawn)
                with replacing(files[-1]) as partial:
                    np.savez(partial, key=key.hexdigest(), **arrays)
            progress(index + 1, len(dataset))
        return files

    def _key(self):
        """Digest of all that features depend on but the image and its proposals."""
        # As JSON, in which a model that was loaded is like the one that was saved.
        config = {name: value for name, value in self.get_config().items() if name not in NO_FEATURES}
        digest = hashlib.sha256(json.dumps(config, sort_keys=True, default=str).encode())
        layers = [self.backbone, *self.head.dense_layers]
        if self.head.network is not None:
            layers.append(self.head.network)
        for weight in itertools.chain(*(layer.get_weights() for layer in layers)):
            digest.update(np.ascontiguousarray(weight).data)
        return digest.digest()

    def _regions_of(self, image, record, proposals, drawn):
        objects, ignored = record.boxes[~record.ignore], record.boxes[record.ignore]
        boxes = np.concatenate([objects, proposals]).astype(np.float32)
        overlaps = box_ops.iou(tf.constant(boxes), tf.constant(objects)).numpy()
        cover = box_ops.intersection(tf.constant(boxes), tf.constant(ignored)) / box_ops.area(boxes)[:, None]
        pairs = np.flatnonzero(overlaps.max(axis=1, initial=0.0) >= self.arguments["box_positive_iou"])
        # Only SVMs look at the other regions, which are ten times as many.
        svm = self.arguments["classifier"] == "svm"
        wanted = np.arange(len(boxes)) if svm else np.union1d(pairs, drawn)
        features, pooled = self._regions_function(
            tf.constant(image[None], tf.float32), self.size_tensor(None), tf.constant(boxes[wanted][None])
        )
        pooled = pooled.numpy()
        return {
            **({"features": features.numpy()} if svm else {}),
            "boxes": boxes,
            "objects": len(objects),
            "labels": record.labels[~record.ignore],
            "overlaps": overlaps,
            "left_alone": cover.numpy().max(axis=1, initial=0.0) >= IGNORE_COVER,
            "pairs": pairs,
            "pooled": pooled[np.searchsorted(wanted, pairs)],
            "norms": np.linalg.norm(pooled[np.searchsorted(wanted, drawn)], axis=1),
        }

    def _fit_svms(self, files):
        """One SVM a class: its objects against all regions that hardly overlap one of them, objects of other
        classes too (R-CNN, section 2.3, and `rcnn_train` of the released code)."""
        positives, norms = [[] for _ in self.class_names], []
        for file in files:
            with np.load(file) as cache:
                features, labels = cache["features"], cache["labels"]
            norms.append(np.linalg.norm(features, axis=1))
            for label, found in enumerate(positives):
                found.append(features[: len(labels)][labels == label])
        scale = _scale(np.concatenate(norms))
        svms = [
            HardNegativeSVM(np.concatenate(found), scale, self.arguments["svm_c"], self.arguments["seed"])
            for found in positives
        ]
        for file in files:
            with np.load(file) as cache:
                features, labels, overlaps = cache["features"], cache["labels"], cache["overlaps"]
                usable = ~cache["left_alone"]
            for label, svm in enumerate(svms):
                overlap = overlaps[:, labels == label].max(axis=1, initial=0.0)
                svm.add(features[usable & (overlap < self.arguments["svm_negative_iou"])])
        layer = self.head.class_dense
        kernel, bias = (np.zeros(weight.shape, np.float32) for weight in layer.get_weights())
        for label, svm in enumerate(svms):
            kernel[:, label + 1], bias[label + 1] = svm.solve()
        layer.set_weights([kernel, bias])
        self.margins.assign(1.0)

    def _fit_boxes(self, files):
        """Ridge regression of the deltas from pooled features in each class (R-CNN, appendix C)."""
        labels, norms = [], []
        for file in files:
            with np.load(file) as cache:
                match = cache["overlaps"][cache["pairs"]].argmax(axis=1) if len(cache["pairs"]) else []
                labels.append(cache["labels"][match] if len(match) else np.zeros(0, int))
                norms.append(cache["norms"])
        if not sum(map(len, labels)):
            return
        scale = _scale(np.concatenate(norms))
        kernel, bias = (np.zeros(weight.shape, np.float32) for weight in self.head.box_dense.get_weights())
        # One class after another, for the pairs of all would not fit into memory.
        for group in range(self.head.box_count):
            regression = Ridge(self.arguments["box_ridge"])
            chosen = [found == group if self.head.box_count > 1 else found >= 0 for found in labels]
            for file, rows in zip(files, chosen):
                if rows.any():
                    regression.add(*self._pairs_of(file, rows, scale))
            if sum(rows.sum() for rows in chosen):
                columns = slice(4 * group, 4 * group + 4)
                weights, offset = regression.solve()
                kernel[:, columns], bias[columns] = weights * scale, offset
        self.head.box_dense.set_weights([kernel, bias])

    def _pairs_of(self, file, rows, scale):
        """Pooled features `[N, F]` and deltas `[N, 4]` of some pairs of an image."""
        with np.load(file) as cache:
            pairs, boxes, pooled = cache["pairs"][rows], cache["boxes"], cache["pooled"][rows]
            match = cache["overlaps"][pairs].argmax(axis=1)
        deltas = self.regions.coder.encode(tf.constant(boxes[match]), tf.constant(boxes[pairs]))
        return pooled * scale, deltas.numpy()


def _draw(dataset):
    """The regions of each image, objects then proposals, whose norms count: a list of indices, some empty."""
    random = np.random.default_rng(0)
    counts = [
        np.count_nonzero(~record.ignore) + len(proposals)
        for record, proposals in zip(dataset.records, dataset.proposals, strict=True)
    ]
    images = random.permutation(np.flatnonzero(counts))[:NORM_IMAGES]
    drawn = [np.zeros(0, int)] * len(counts)
    for index in images:
        drawn[index] = random.permutation(counts[index])[:NORM_REGIONS]
    return drawn


def _scale(norms):
    return TARGET_NORM / max(float(norms.mean()), 1e-12)


def _has_key(file, key):
    """Whether a file of the cache is there and follows from what the key stands for."""
    try:
        with np.load(file) as cache:
            return str(cache["key"]) == key
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return False
