"""The training stages of R-CNN and SPPnet after their network is fine-tuned.

Letters: B images, P proposals, R regions per image, D features, F pooled features, K classes.
"""

import hashlib
import itertools
import json
import zipfile
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

# R-CNN scales features to this mean norm, for which its C and λ were chosen. The mean is over this many
# random images, and this many random regions of each (`rcnn_feature_stats` of the released code).
TARGET_NORM = 20.0
NORM_IMAGES, NORM_REGIONS = 200, 200


class StageArguments(TypedDict, total=False):
    """Training after `fit`."""

    classifier: Annotated[
        str,
        "softmax",
        '"softmax", from the fine-tuned network, or "svm", one per class (R-CNN, section 2.3).',
    ]
    svm_c: Annotated[float, 0.001, "cost parameter of the SVMs, above 0; R-CNN, rcnn_train.m."]
    svm_negative_iou: Annotated[
        float,
        0.3,
        "a region is a negative of a class if its IoU with all objects of the class is lower, 0 to 1; "
        "R-CNN, section 2.3.",
    ]
    box_positive_iou: Annotated[
        float, 0.6, "minimum IoU of the regions that the box regression trains on, 0 to 1; R-CNN, appendix C."
    ]
    box_ridge: Annotated[float, 1000.0, "λ of the box regression, above 0; R-CNN, appendix C."]
    seed: Annotated[int, 0, "random seed of the SVM solver, at least 0."]


class StagedTraining(ExternalProposals):
    """Base of the methods that learn classes in `fit` and the rest in `finish_training`.

    Boxes are regressed from the pooled features, only after `fit`. Classes come from the softmax of the
    fine-tuned network, or from linear SVMs on its features (R-CNN, section 2.3 and appendices B and C).
    """

    trains_in_stages = True

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
        # 1 if the classifier outputs SVM margins, 0 if it outputs logits against the background.
        self.margins = self.add_weight(name="margins", shape=(), initializer="zeros", trainable=False)

    def connect_stages(self):
        self.regions = RegionStage.from_arguments(
            self.pool, self.head, self.arguments, learns_boxes=False, to_scores=self.to_scores
        )
        self._regions_function = tf.function(
            self.region_features, input_signature=list(self.detect_signature), autograph=False
        )

    def to_scores(self, class_logits):
        """Convert the outputs of the classifier to scores 0–1 `[B, R, K + 1]`."""
        # Each SVM judges its class alone; the softmax compares all classes.
        return tf.where(self.margins > 0.0, tf.sigmoid(class_logits), tf.nn.softmax(class_logits))

    def region_features(self, images, image_size, proposals):
        """Compute the inputs of the classifiers and regressors; for the arguments see `detect_batch`.

        Returns:
            float32 `[R, D]`, outputs of the last fully connected layer, and `[R, F]`, pooled features.
        """
        features, pooled = self.head.features(self.pool_regions(images, image_size, proposals))
        return tf.cast(features, tf.float32), tf.cast(pooled, tf.float32)

    def prepare_training(self, dataset, flip=0.5):
        """Check for scikit-learn now, not after hours of training; discard earlier SVMs."""
        if self.arguments["classifier"] == "svm":
            svm_class()
        self.margins.assign(0.0)

    def finish_training(self, dataset, folder, progress=lambda done, total: None):
        """Cache features on disk, then train the SVMs, if any, and the box regressors.

        Args:
            dataset: `DetectionDataset` with proposals that `fit` trained on.
            folder: folder of the cache, one file per image; files from this model are reused.
            progress: function that is called after each image with the number cached and the total.
        """
        files = self.cache_features(dataset, folder, progress)
        if self.arguments["classifier"] == "svm":
            self._fit_svms(files)
        self._fit_boxes(files)

    def cache_features(self, dataset, folder, progress=lambda done, total: None):
        """Write the features of every region in a data set to files.

        Args:
            dataset, folder, progress: see `finish_training`.

        Returns:
            list of `.npz` files with "boxes" `[R, 4]`, objects before proposals; "objects", the number of
            objects; their "labels"; "overlaps" `[R, objects]`; "left_alone" `[R]`, whether an ignored region
            covers a box; "features" `[R, D]` (with SVMs); "pairs" `[Q]`, the regions that boxes are regressed
            from, and their "pooled" `[Q, F]`; "norms" of the pooled features of sampled regions; and "key", a
            digest of everything that the features depend on.
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
        """Digest everything that features depend on, except the image and its proposals."""
        # As JSON, the config of a loaded model equals that of the saved one.
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
        # Only SVMs use the other regions, which are ten times as many.
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
        """Fit one SVM per class: its objects against all regions that hardly overlap them, including objects
        of other classes (R-CNN, section 2.3, and `rcnn_train` of the released code)."""
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
        """Fit a ridge regression from pooled features to deltas in each class (R-CNN, appendix C)."""
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
        # Fit one class at a time, because the pairs of all classes may not fit into memory.
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
        """Load pooled features `[N, F]` and deltas `[N, 4]` of some pairs of an image."""
        with np.load(file) as cache:
            pairs, boxes, pooled = cache["pairs"][rows], cache["boxes"], cache["pooled"][rows]
            match = cache["overlaps"][pairs].argmax(axis=1)
        deltas = self.regions.coder.encode(tf.constant(boxes[match]), tf.constant(boxes[pairs]))
        return pooled * scale, deltas.numpy()


def _draw(dataset):
    """Sample the regions whose norms count: indices for each image, objects before proposals, some empty."""
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
    """Return whether a cache file exists and has this key."""
    try:
        with np.load(file) as cache:
            return str(cache["key"]) == key
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return False
