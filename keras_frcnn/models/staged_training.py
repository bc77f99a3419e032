"""The stages that R-CNN and SPPnet go through after their network is fine-tuned.

Letters: B images, P proposals, R regions of an image, D features, F pooled features, K classes.
"""

import os
from pathlib import Path

import numpy as np
import tensorflow as tf

from keras_frcnn import boxes as box_ops
from keras_frcnn.losses import detection_loss
from keras_frcnn.models.external_proposals import ExternalProposals
from keras_frcnn.models.linear_models import mine_svm, ridge, svm_class

CLASSIFIERS = ("softmax", "svm")

# R-CNN scales features to this mean norm, for which its C and λ were chosen.
TARGET_NORM = 20.0


class StagedTraining(ExternalProposals):
    """Mixin of a `Detector` that learns classes in `fit` and the rest in `finish_training`.

    Boxes are regressed from the pooled features, and only afterwards; classes by the softmax of the
    fine-tuned network or by linear SVMs on its features (R-CNN, section 2.3 and appendices B and C).
    """

    def check_single_map(self, parts):
        """Refuse a pyramid of features, of which these methods know nothing."""
        if parts.pyramid:
            raise ValueError(
                f"{type(self).__name__} needs a backbone of one feature map, such as vgg16 or mobilenet_v2; "
                f"{parts.network.name} has {len(parts.strides)}."
            )

    def assemble_stages(self, recipe):
        """Check the classifier, and keep the box regressors out of `fit`."""
        if recipe.classifier not in CLASSIFIERS:
            raise ValueError(f"Unknown classifier {recipe.classifier!r}; use {' or '.join(CLASSIFIERS)}.")
        self.head.box_dense.trainable = False
        self.head.box_dense.set_weights([np.zeros(weight.shape) for weight in self.head.box_dense.weights])
        # SVMs answer in margins, the network in logits against the background.
        self.margins = self.add_weight(name="margins", shape=(), initializer="zeros", trainable=False)
        self._regions_function = tf.function(
            self.region_features, input_signature=list(self.detect_signature), autograph=False
        )

    def head_losses(self, features, proposals, proposed, y, training):
        rois, *targets = self.proposal_targets(proposals, proposed, y, self.sampling_seed(training))
        class_logits, deltas = self.head(self.pool(features, rois, training), training=training)
        class_loss, _ = detection_loss(class_logits, deltas, *targets)
        return {"class_loss": class_loss}

    def probabilities(self, class_logits):
        # A detection's class is asked for by each SVM alone, and the softmax compares them.
        return tf.where(self.margins > 0.0, tf.sigmoid(class_logits), tf.nn.softmax(class_logits))

    def region_features(self, images, image_size, proposals):
        """What the classifiers and the regressors see of regions; arguments as of `detect_batch`.

        Returns:
            float32 `[R, D]`, what the last fully connected layer answers, and `[R, F]`, what is pooled.
        """
        x, originals = self.prepare_batch(images, image_size)
        rois = box_ops.rescale(proposals, originals, x["image_shapes"])
        pooled = self.pool(self.features(x["images"], x["image_shapes"], False), rois)
        features, pooled = self.head.features(pooled)
        return tf.cast(features, tf.float32), tf.cast(pooled, tf.float32)

    def prepare_training(self, dataset):
        """Refuse now what would fail after hours; a model with SVMs that is trained again gives them up."""
        if self.recipe["classifier"] == "svm":
            svm_class()
        self.margins.assign(0.0)

    def finish_training(self, dataset, folder):
        """Cache features on disk, then train the SVMs if the recipe has them, and the box regressors.

        Args:
            dataset: `DetectionDataset` with proposals, the one that `fit` had.
            folder: for the cache, one file an image; a file that is there is not made again.

        Returns:
            True.
        """
        files = self.cache_features(dataset, folder)
        if self.recipe["classifier"] == "svm":
            self._fit_svms(files)
        self._fit_boxes(files)
        return True

    def cache_features(self, dataset, folder):
        """Write the features of every region of a set.

        Args:
            dataset, folder: as of `finish_training`.

        Returns:
            list of files, `.npz` with "boxes" `[R, 4]`, the objects then the proposals, "objects" (how many
            are objects), "labels" of the objects, "overlaps" `[R, objects]`, "features" `[R, D]` (with SVMs)
            and "pooled" `[Q, F]` of the regions "pairs" `[Q]` that boxes are regressed from.
        """
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        files = []
        for index, (record, proposals) in enumerate(zip(dataset.records, dataset.proposals, strict=True)):
            files.append(folder / f"{index:06d}.npz")
            if not files[-1].exists():
                partial = folder / f".{index:06d}.partial.npz"
                np.savez(partial, **self._regions_of(dataset.image(index), record, proposals))
                os.replace(partial, files[-1])
        return files

    def _regions_of(self, image, record, proposals):
        objects = record.boxes[~record.ignore]
        boxes = np.concatenate([objects, proposals]).astype(np.float32)
        features, pooled = self._regions_function(
            tf.constant(image[None], tf.float32), self._size(None), tf.constant(boxes[None])
        )
        overlaps = box_ops.iou(tf.constant(boxes), tf.constant(objects)).numpy()
        best = overlaps.max(axis=1, initial=0.0)
        pairs = np.flatnonzero(best >= self.recipe["box_positive_iou"])
        kept = {"features": features.numpy()} if self.recipe["classifier"] == "svm" else {}
        return {
            **kept,
            "boxes": boxes,
            "objects": len(objects),
            "labels": record.labels[~record.ignore],
            "overlaps": overlaps,
            "pairs": pairs,
            "pooled": pooled.numpy()[pairs],
        }

    def _fit_svms(self, files):
        """One SVM a class: objects against regions that hardly overlap any of them (R-CNN, section 2.3)."""
        recipe, layer = self.recipe, self.head.class_dense
        kernel, bias = (np.zeros(weight.shape, np.float32) for weight in layer.get_weights())
        for label in range(len(self.class_names)):
            weights, offset = mine_svm(
                lambda label=label: self._svm_examples(files, label),
                recipe["svm_c"],
                TARGET_NORM,
                recipe["seed"],
            )
            kernel[:, label + 1], bias[label + 1] = weights, offset
        layer.set_weights([kernel, bias])
        self.margins.assign(1.0)

    def _svm_examples(self, files, label):
        """Positives and negatives `[·, D]` of a class, image by image."""
        for file in files:
            with np.load(file) as cache:
                features, own = cache["features"], cache["labels"] == label
                count = int(cache["objects"])
                overlaps = cache["overlaps"][count:, own].max(axis=1, initial=0.0)
            yield features[:count][own], features[count:][overlaps < self.recipe["svm_negative_iou"]]

    def _fit_boxes(self, files):
        """Ridge regression of the deltas from pooled features in each class (R-CNN, appendix C)."""
        pooled, deltas, labels = [], [], []
        for file in files:
            with np.load(file) as cache:
                pairs, count = cache["pairs"], int(cache["objects"])
                if not len(pairs):
                    continue
                match = cache["overlaps"][pairs].argmax(axis=1)
                boxes, objects = cache["boxes"][pairs], cache["boxes"][:count]
                pooled.append(cache["pooled"])
                labels.append(cache["labels"][match])
            deltas.append(self.box_coder.encode(tf.constant(objects[match]), tf.constant(boxes)).numpy())
        if not pooled:
            return
        pooled, deltas, labels = (np.concatenate(parts) for parts in (pooled, deltas, labels))
        scale = TARGET_NORM / max(float(np.linalg.norm(pooled, axis=1).mean()), 1e-12)
        kernel, bias = (np.zeros(weight.shape, np.float32) for weight in self.head.box_dense.get_weights())
        for group in range(self.head.box_count):
            rows = labels == group if self.head.box_count > 1 else labels >= 0
            if rows.any():
                columns = slice(4 * group, 4 * group + 4)
                weights, offset = ridge(pooled[rows] * scale, deltas[rows], self.recipe["box_ridge"])
                kernel[:, columns], bias[columns] = weights * scale, offset
        self.head.box_dense.set_weights([kernel, bias])
