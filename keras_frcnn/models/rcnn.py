"""R-CNN.

Letters: B images, R regions per image, S pixels along each side of a warped region, K classes.
"""

from typing import Annotated, Unpack

import keras
import tensorflow as tf

from keras_frcnn import boxes as box_ops
from keras_frcnn.layers import RoIAlign
from keras_frcnn.models.arguments import (
    AnswerArguments,
    BinArguments,
    ForegroundArguments,
    FreezingArguments,
    HeadArguments,
    ImageArguments,
)
from keras_frcnn.models.constructor import takes
from keras_frcnn.models.defaults import BackboneOr
from keras_frcnn.models.external_proposals import MinibatchArguments
from keras_frcnn.models.region_stage import detection_head
from keras_frcnn.models.staged_training import StageArguments, StagedTraining
from keras_frcnn.ops.maps import as_list

# Side of the images that networks are pretrained on, pixels.
PRETRAINED_SIDE = 224


class RCNNArguments(
    ImageArguments,
    FreezingArguments,
    BinArguments,
    StageArguments,
    HeadArguments,
    MinibatchArguments,
    ForegroundArguments,
    AnswerArguments,
    total=False,
):
    """Arguments of R-CNN."""

    warp_size: Annotated[
        int | None,
        BackboneOr("the largest up to 224 that the backbone can take"),
        "S, side of a warped region in pixels, at least 1: a multiple of the stride times `pool_size`.",
    ]
    context: Annotated[
        int,
        16,
        "border of the warped region that shows the surroundings of the proposal, in pixels, at least 0; "
        "appendix A. Outside the image it shows the mean pixel.",
    ]
    region_batch: Annotated[
        int, 64, "regions that pass through the network at once at test time, at least 1."
    ]


@keras.saving.register_keras_serializable("keras_frcnn")
@takes(RCNNArguments)
class RCNN(StagedTraining):
    """R-CNN (Girshick et al., 2014): each proposal is warped to one size and goes through the whole network.

    `fit` fine-tunes the network on warped regions; `finish_training` fits the classifiers and the box
    regressors. Regions are warped from the image at `image_size`.

    Args:
        class_names, backbone_weights: see `FasterRCNN`.
        backbone (str or keras.Model): network with one feature map.
        **arguments: the groups in `models/arguments.py`.

    Call arguments, returns: see `Detector.call`; the dict needs "proposals".
    """

    def __init__(
        self, class_names, backbone="vgg16", backbone_weights="none", **arguments: Unpack[RCNNArguments]
    ):
        names = ("class_loss", "proposal_recall")
        super().__init__(class_names, backbone, backbone_weights, arguments, names)
        info, values = self.backbone_info, self.arguments
        self.shrink = _shrink(info, values)
        with self.dtype_scope():
            # Pixels are features of stride 1, so warping is RoIAlign with one sample per bin.
            self.warp = RoIAlign(values["warp_size"], strides=(1,), samples=1, name="warp")
            self.warp.build((None, None, None, 3), (None, None, 4))
            shape = (values["pool_size"], values["pool_size"], info.channels)
            self.head = detection_head(
                info,
                values,
                len(self.class_names),
                shape,
                boxes_from="pooled",
                class_agnostic=values["class_agnostic"],
            )
        self.assemble_linear_models()
        self.finish_assembly()

    def own_defaults(self, backbone, arguments):
        pool_size = arguments.get("pool_size") or backbone.defaults.get("pool_size", 7)
        smallest = backbone.stride * pool_size
        return {"warp_size": max(1, PRETRAINED_SIDE // smallest) * smallest}

    def maps_to_pool(self, images, image_shapes, training):
        """Return the normalized images, from which regions are cut."""
        return [self.pixels(images, image_shapes)]

    def pool(self, features, rois, training=False):
        size, context = self.arguments["warp_size"], self.arguments["context"]
        windows = box_ops.expand(rois, size / (size - 2.0 * context))
        if training:
            return self._through_network(features, windows, training)

        count, step = tf.shape(rois)[1], self.arguments["region_batch"]
        windows = tf.pad(windows, [[0, 0], [0, tf.cast(count == 0, tf.int32)], [0, 0]])

        def one_batch(start, done):
            pooled = self._through_network(features, windows[:, start : start + step], training)
            return start + step, done.write(start // step, tf.transpose(pooled, [1, 0, 2, 3, 4]))

        bins, channels = self.arguments["pool_size"], self.backbone_info.channels
        done = tf.TensorArray(
            self.compute_dtype, 0, True, infer_shape=False, element_shape=[None, None, bins, bins, channels]
        )
        _, done = tf.while_loop(
            lambda start, _: start < tf.shape(windows)[1], one_batch, [0, done], parallel_iterations=1
        )
        return tf.transpose(done.concat(), [1, 0, 2, 3, 4])[:, :count]

    def _through_network(self, pixels, windows, training):
        """Warp, convolve and pool regions: `[B, R, P, P, C]`."""
        warped = self.warp(pixels, windows)
        shape = tf.shape(windows)[:2]
        features = self.backbone(tf.reshape(warped, [-1, *warped.shape[2:]]), training=training)
        features = as_list(features)[0]
        pooled = tf.nn.max_pool2d(features, self.shrink, self.shrink, "VALID")
        return tf.reshape(pooled, tf.concat([shape, pooled.shape[1:]], axis=0))


def _shrink(backbone, arguments):
    """Compute the number of cells along each side that one bin pools.

    Raises:
        ValueError: the warped region has no room for its context, or its cells do not divide into bins.
    """
    size, context, smallest = (
        arguments["warp_size"],
        arguments["context"],
        backbone.stride * arguments["pool_size"],
    )
    if size <= 2 * context:
        raise ValueError(
            f"warp_size {size} leaves nothing between {context} pixels of context on each side; "
            "lower context."
        )
    shrink, rest = divmod(size, smallest)
    if rest:
        raise ValueError(
            f"warp_size {size} is no multiple of the stride {backbone.stride} times pool_size "
            f"{arguments['pool_size']}; choose one that is, such as {smallest}."
        )
    return shrink
