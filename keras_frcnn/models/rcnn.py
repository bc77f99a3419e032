"""R-CNN.

Letters: B images, R regions of an image, S pixels along a side of a warped region, K classes.
"""

import keras
import tensorflow as tf

from keras_frcnn import backbones
from keras_frcnn import boxes as box_ops
from keras_frcnn.layers import RoIAlign
from keras_frcnn.models import region_classification
from keras_frcnn.models.detector import Detector
from keras_frcnn.models.staged_training import StagedTraining


@keras.saving.register_keras_serializable("keras_frcnn")
class RCNN(StagedTraining, Detector):
    """R-CNN (Girshick et al., 2014): each proposal is warped to one size and goes through the whole network.

    `fit` fine-tunes the network on warped regions; `finish_training` makes the classifiers and the box
    regressors.

    Args:
        class_names: names of the K classes, without background.
        backbone: of one feature map.
        backbone_weights, image_size, canvas, preprocessing, frozen_stages, frozen_batch_norm: see
            `FasterRCNN`. Regions are warped from the image at `image_size`.
        warp_size: S, pixels; by default the largest that the backbone can take up to 224, what networks are
            pretrained with.
        context: pixels of the warped region on each side that show what is around the proposal; 16 in the
            paper. What lies outside the image is the mean pixel.
        region_batch: regions that go through the network at once at test.
        classifier, svm_c, svm_negative_iou, seed: see `SPPNet`.
        box_positive_iou, box_ridge: likewise; 0.6 and 1000 in the paper (appendix C).
        pool_size: bins along a side of what enters the head.
        head_units, head_dropout, head_ranks, head_positive_iou, head_batch_size, head_positive_fraction,
        class_agnostic, score_threshold, nms_iou, max_detections: see `FastRCNN`.
        head_negative_iou: `(low, high)` of background; the paper takes every region below 0.5.

    Call arguments, returns: see `Detector.call`; the dict needs "proposals".
    """

    def __init__(
        self,
        class_names,
        backbone="vgg16",
        backbone_weights="none",
        *,
        image_size=(600, 1000),
        canvas=False,
        preprocessing=None,
        frozen_stages=None,
        frozen_batch_norm=None,
        warp_size=None,
        context=16,
        region_batch=64,
        classifier="softmax",
        svm_c=0.001,
        svm_negative_iou=0.3,
        box_positive_iou=0.6,
        box_ridge=1000.0,
        seed=0,
        pool_size=None,
        head_units=None,
        head_dropout=None,
        head_ranks=None,
        head_positive_iou=0.5,
        head_negative_iou=(0.0, 0.5),
        head_batch_size=64,
        head_positive_fraction=0.25,
        class_agnostic=False,
        score_threshold=0.05,
        nms_iou=None,
        max_detections=100,
        weights_source=None,
        **kwargs,
    ):
        # The arguments as they came, in place of twenty assignments; nothing is defined before this line.
        arguments = {
            name: value for name, value in locals().items() if name not in ("self", "kwargs", "__class__")
        }
        super().__init__(
            class_names,
            loss_names=("class_loss", "proposal_recall"),
            **kwargs,
        )
        with backbones.dtype_policy(self.dtype_policy):
            parts = self.open_backbone(arguments)
            self.check_single_map(parts)
            defaults = {**region_classification.defaults(parts.pyramid), **parts.defaults}
            smallest = parts.strides[0] * (pool_size or defaults["pool_size"])
            defaults["warp_size"] = max(1, 224 // smallest) * smallest
            recipe = self.resolve(arguments, parts, defaults)
            if recipe.warp_size <= 2 * context:
                raise ValueError(
                    f"warp_size {recipe.warp_size} leaves nothing between {context} pixels of context on "
                    "each side; lower context."
                )
            self.shrink, rest = divmod(recipe.warp_size, smallest)
            if rest:
                raise ValueError(
                    f"warp_size {recipe.warp_size} is no multiple of the stride {parts.strides[0]} times "
                    f"pool_size {recipe.pool_size}; choose one that is, such as {smallest}."
                )
            self.assemble_backbone(parts, recipe)
            self.assemble_head(parts, recipe, boxes_from="pooled")
            self.assemble_stages(recipe)
        self.finish_assembly()

    def make_pooling(self, strides, recipe):
        # Pixels are features of stride 1: warping is RoIAlign with one sample a bin.
        return RoIAlign(recipe.warp_size, strides=(1,), samples=1, name="warp")

    def pooled_channels(self, parts):
        return 3

    def pooled_shape(self, parts, recipe):
        channels = parts.network.outputs[0].shape[-1]
        return (None, None, recipe.pool_size, recipe.pool_size, channels)

    def features(self, images, image_shapes, training):
        """The normalised images themselves, for regions are cut from these."""
        return [self.pixels(images, image_shapes)]

    def pool(self, features, rois, training=False):
        size, context = self.recipe["warp_size"], self.recipe["context"]
        windows = box_ops.expand(rois, size / (size - 2.0 * context))
        if training:
            return self._through_network(features, windows, training)

        count, step = tf.shape(rois)[1], self.recipe["region_batch"]
        windows = tf.pad(windows, [[0, 0], [0, tf.cast(count == 0, tf.int32)], [0, 0]])

        def one_batch(start, done):
            pooled = self._through_network(features, windows[:, start : start + step], training)
            return start + step, done.write(start // step, tf.transpose(pooled, [1, 0, 2, 3, 4]))

        bins, channels = self.recipe["pool_size"], self.backbone.outputs[0].shape[-1]
        done = tf.TensorArray(
            self.compute_dtype, 0, True, infer_shape=False, element_shape=[None, None, bins, bins, channels]
        )
        _, done = tf.while_loop(
            lambda start, _: start < tf.shape(windows)[1], one_batch, [0, done], parallel_iterations=1
        )
        return tf.transpose(done.concat(), [1, 0, 2, 3, 4])[:, :count]

    def _through_network(self, pixels, windows, training):
        """Warp, convolve and pool regions: `[B, R, P, P, C]`."""
        warped = self.roi_pooling(pixels, windows)
        shape = tf.shape(windows)[:2]
        features = self.backbone(tf.reshape(warped, [-1, *warped.shape[2:]]), training=training)
        features = features[0] if isinstance(features, (list, tuple)) else features
        pooled = tf.nn.max_pool2d(features, self.shrink, self.shrink, "VALID")
        return tf.reshape(pooled, tf.concat([shape, pooled.shape[1:]], axis=0))
