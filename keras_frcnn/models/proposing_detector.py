"""Detectors that make their own proposals can also answer with these alone.

Letters: B images, R proposals.
"""

import functools
from functools import cached_property

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

    earlier = {"rpn_min_size_first": False}

    def propose(self, image, top=None, training=False):
        """Where objects may be, whatever they are.

        Args:
            image: path, or array `[H, W, 3]` RGB 0–255.
            top: at most so many; by default all that the network gives.
            training: whether it gives as many as in training, or as at test.

        Returns:
            dict of arrays "boxes" float32 `[R, 4]`, pixels of the image as given, and "scores" float32 `[R]`
            (0–1, best first).
        """
        image = tf.constant(image_ops.as_image(image)[None], tf.float32)
        answer = self._propose_functions[training](image)
        count = int(answer["count"][0])
        count = count if top is None else min(count, top)
        return {name: answer[name][0, :count].numpy() for name in ("boxes", "scores")}

    def propose_batch(self, images, training=False):
        """Proposals in pixels of images of one shape; runs in a graph.

        Args:
            images: as of `Detector.detect_batch`.
            training: bool, as many as in training.

        Returns:
            dict of "boxes" float32 `[B, R, 4]`, best first, "scores" `[B, R]` and "count" int32 `[B]`.
        """
        x, originals = self.resizing.prepare_batch(images)
        features = self.features(x["images"], x["image_shapes"], False)
        proposals = self.proposals(features, x["image_shapes"], training)
        boxes = box_ops.rescale(proposals.boxes, x["image_shapes"], originals)
        return {"boxes": boxes, "scores": proposals.scores, "count": proposals.count}

    @cached_property
    def _propose_functions(self):
        signature = [tf.TensorSpec([None, None, None, 3], tf.float32)]
        return {
            phase: tf.function(
                functools.partial(self.propose_batch, training=phase),
                input_signature=signature,
                autograph=False,
                jit_compile=False,
            )
            for phase in (False, True)
        }
