"""Base class of the detectors with a region proposal network, which can return its proposals.

Letters: B images, R proposals.
"""

import functools

import numpy as np
import tensorflow as tf

from keras_frcnn import boxes as box_ops
from keras_frcnn import images as image_ops
from keras_frcnn.layers import RegionProposalNetwork
from keras_frcnn.models.detector import Detector
from keras_frcnn.models.proposal_stage import ProposalStage


class ProposingDetector(Detector):
    """Base of the methods with a region proposal network.

    Attributes:
        rpn: `RegionProposalNetwork`.
        proposals: `ProposalStage` around it.
    """

    rpn: RegionProposalNetwork
    proposals: ProposalStage

    earlier = {"rpn_min_size_first": False}  # of files from before the argument

    def __init__(self, class_names, backbone, backbone_weights, arguments, log_names):
        super().__init__(class_names, backbone, backbone_weights, arguments, log_names)
        self._propose_functions = {}

    def propose(self, image, top: int | None = None, training: bool = False) -> dict[str, np.ndarray]:
        """Propose regions that may hold an object of any class.

        Args:
            image: path, or array `[H, W, 3]` RGB 0–255.
            top: maximum number of proposals; by default all that the network returns.
            training: whether the network returns as many as in training, rather than as at test time.

        Returns:
            dict of arrays "boxes" float32 `[R, 4]`, pixels of the image as given, and "scores" float32 `[R]`
            (0–1, best first).
        """
        image = tf.constant(image_ops.as_image(image)[None], tf.float32)
        answer = self._propose_function(training)(image)
        count = int(answer["count"][0])
        count = count if top is None else min(count, top)
        return {name: answer[name][0, :count].numpy() for name in ("boxes", "scores")}

    def propose_batch(self, images, training=False):
        """Propose regions in images of one shape, in their own pixels; runs in a graph.

        Args:
            images: see `Detector.detect_batch`.
            training: bool, see `propose`.

        Returns:
            dict of "boxes" float32 `[B, R, 4]`, best first, "scores" `[B, R]` and "count" int32 `[B]`.
        """
        x, originals = self.resizing.prepare_batch(images)
        features = self.features(x["images"], x["image_shapes"], False)
        proposed = self.proposals(features, x["image_shapes"], training)
        boxes = box_ops.rescale(proposed.boxes, x["image_shapes"], originals)
        return {"boxes": boxes, "scores": proposed.scores, "count": proposed.count}

    def forget_functions(self):
        super().forget_functions()
        self._propose_functions = {}

    def _propose_function(self, training):
        """Return the traced `propose_batch`, created on first use."""
        if training not in self._propose_functions:
            self._propose_functions[training] = tf.function(
                functools.partial(self.propose_batch, training=training),
                input_signature=[tf.TensorSpec([None, None, None, 3], tf.float32)],
                autograph=False,
                jit_compile=False,
            )
        return self._propose_functions[training]
