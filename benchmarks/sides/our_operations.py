"""This package's side of `operations.py`.

Letters: B images, H height, W width, C channels, R RoIs per image, N boxes, M objects, P bins per side.
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np
import tensorflow as tf

from keras_frcnn.layers import ExactRoIPooling, RoIAlign, RoIPooling
from keras_frcnn.ops.nms import grouped_nms
from keras_frcnn.sampling import Matcher
from sides.subject import Subject, serve

POOLINGS = {"RoIAlign": RoIAlign, "RoIPooling": RoIPooling, "exact RoI pooling": ExactRoIPooling}


def operations(file, bins, stride, proposals):
    """Make a subject that runs one operation at a time; the call "select" chooses it.

    Args:
        file: `.npz` file with "features" `[B, H, W, C]`, "rois" `[B, R, 4]`, "weights" `[B, R, P, P, C]` of
            the gradient, "boxes" `[B, N, 4]`, "scores" `[B, N]` and "objects" `[B, M, 4]`.
        bins: P.
        stride: pixels between the cells of the map.
        proposals: int, boxes per image that suppression keeps.
    """
    given = {name: tf.constant(array) for name, array in np.load(file).items()}

    def pooling(kind):
        layer = POOLINGS[kind](bins, (stride,))

        def forward():
            return {"values": layer(given["features"], given["rois"])}

        def with_gradient():
            with tf.GradientTape() as tape:
                tape.watch(given["features"])
                total = tf.reduce_sum(forward()["values"] * given["weights"])
            return {"values": tape.gradient(total, given["features"])}

        return forward, with_gradient

    def suppression():
        kept = grouped_nms(given["boxes"], given["scores"][..., None], 0.7, -float("inf"), proposals)
        return {"values": kept[1]}

    match = Matcher(0.7, (0.0, 0.3), keep_best=True)

    def matching():
        objects = given["objects"]
        labels = tf.zeros(tf.shape(objects)[:2], tf.int32)
        every = tf.ones(tf.shape(given["boxes"])[:2], tf.bool)
        verdict, matched = match(given["boxes"], objects, labels, labels > 0, every)
        return {"values": tf.where(verdict == 1, matched, verdict - 1)}

    plain = {"NMS": suppression, "matching": matching}
    subject = Subject()

    def select(name, gradient):
        function = pooling(name)[gradient] if name in POOLINGS else plain[name]
        subject.run = tf.function(function, autograph=False)

    subject.calls["select"] = select
    return subject


if __name__ == "__main__":
    serve({"operations": (("tensorflow", "keras"), operations)})
