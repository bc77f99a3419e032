"""The model and the image that a figure is about, and what the model's first parts make of the image.

Letters: H, W sides of the image as given, M ground-truth boxes, R proposals.
"""

import dataclasses
from functools import cached_property

import numpy as np
import tensorflow as tf

from keras_frcnn import boxes as box_ops
from keras_frcnn.data import Record
from keras_frcnn.data.selective_search import checked_proposals
from keras_frcnn.models import Detector
from keras_frcnn.models.external_proposals import ExternalProposals
from keras_frcnn.models.proposal_stage import Proposals
from keras_frcnn.models.proposing_detector import ProposingDetector


@dataclasses.dataclass(frozen=True, eq=False)
class Subject:
    """What a figure is about. All boxes are in pixels of the image at the size that the network sees.

    Args:
        model: any detector of this package.
        image: uint8 `[H, W, 3]`, RGB, as given.
        truth: `Record` of the image, whose labels index the model's classes; None if it is not known.

    Example:
        >>> dataset = keras_frcnn.data.load("shapes@val")
        >>> model = keras_frcnn.FasterRCNN(dataset.class_names, image_size=(128, 160))
        >>> Subject(model, dataset.image(0), dataset.records[0]).picture.shape
        (128, 160, 3)
    """

    model: Detector
    image: np.ndarray
    truth: Record | None = None

    @cached_property
    def x(self) -> dict:
        """The batch of one image for `model.infer`, at the model's size."""
        x, originals = self.model.resizing.prepare_batch(tf.constant(self.image[None], tf.float32))
        if isinstance(self.model, ExternalProposals):
            found = checked_proposals(self.image, None)[None]
            x["proposals"] = box_ops.rescale(tf.constant(found), originals, x["image_shapes"])
        return x

    @property
    def image_shapes(self) -> tf.Tensor:
        """Height and width of the resized image, int32 `[1, 2]`, pixels."""
        return self.x["image_shapes"]

    @cached_property
    def picture(self) -> np.ndarray:
        """The resized image without padding, uint8 RGB."""
        height, width = self.image_shapes[0].numpy()
        return np.clip(np.rint(self.x["images"][0, :height, :width].numpy()), 0, 255).astype(np.uint8)

    @cached_property
    def y(self) -> dict:
        """Ground truth as in a training batch: "boxes" `[1, M, 4]`, "labels" and "ignore" `[1, M]`."""
        truth = self.required_truth()
        old = tf.constant([[truth.height, truth.width]])
        return {
            "boxes": box_ops.rescale(tf.constant(truth.boxes[None]), old, self.image_shapes),
            "labels": tf.constant(truth.labels[None]),
            "ignore": tf.constant(truth.ignore[None]),
        }

    @cached_property
    def features(self) -> list:
        """The maps that proposals and RoIs are computed from, fine to coarse; in R-CNN, the pixels."""
        if isinstance(self.model, ExternalProposals):
            return self.model.maps_to_pool(self.x["images"], self.image_shapes, False)
        return self.model.features(self.x["images"], self.image_shapes, False)

    @cached_property
    def proposed(self) -> Proposals:
        """The proposals of a model with an RPN, as at test time."""
        return self.proposing_model("proposals").proposals(self.features, self.image_shapes)

    @cached_property
    def candidates(self) -> tuple[np.ndarray, np.ndarray | None]:
        """Boxes `[R, 4]` for the second stage, best first, and their scores `[R]` if an RPN made them."""
        if isinstance(self.model, ExternalProposals):
            return self.x["proposals"][0].numpy(), None
        count = int(self.proposed.count[0])
        return self.proposed.boxes[0, :count].numpy(), self.proposed.scores[0, :count].numpy()

    def required_truth(self) -> Record:
        """The ground truth.

        Raises:
            ValueError: it is not known.
        """
        if self.truth is None:
            raise ValueError(
                "This figure needs ground truth; name a data set with --data and an image of it with --image."
            )
        return self.truth

    def proposing_model(self, figure: str) -> ProposingDetector:
        """The model, if it has an RPN.

        Raises:
            ValueError: it has none.
        """
        if not isinstance(self.model, ProposingDetector):
            raise ValueError(
                f"{type(self.model).__name__} has no {figure} of its own, because its proposals come from "
                "outside; show proposals, rois or errors."
            )
        return self.model

    def check_second_stage(self, figure: str) -> None:
        """Raise a ValueError if the model is an RPN alone."""
        if self.model.only_proposals:
            raise ValueError(
                f"An RPN has no {figure}, because it has no second stage; show anchors, targets, proposals "
                "or features."
            )
