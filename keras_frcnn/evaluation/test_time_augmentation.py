"""Detection in several views of an image: at other scales and mirrored.

Letters: N detections, P proposals, K classes.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from keras_frcnn import images as image_ops
from keras_frcnn.data.selective_search import selective_search
from keras_frcnn.detects import Detects, detect_each, refuse_proposals
from keras_frcnn.ops.nms import grouped_nms

SCALES = 0.8, 1.0, 1.2


class TestTimeAugmentation:
    """A detector that runs on several views of every image and merges the results by per-class NMS.

    Args:
        detector: a model, an export or any other `detects.Detects`.
        short_sides: short sides to resize to, pixels; the limit of the long side scales with them. By default
            0.8, 1 and 1.2 times the detector's own. An export and a model with `canvas=True` or with
            `pyramid_sides` keep their own size.
        flip: whether to add the mirrored image at each size.
        nms_iou: a detection whose IoU with a better one of its class exceeds this is dropped, 0 to 1.
        max_detections: int, largest number of detections per image, best first; by default the detector's
            own, or 100 if it has none.

    Attributes:
        class_names: tuple of the names of the K classes.
        needs_proposals: bool, whether the detector works on external proposals.
        has_one_size: True, because `detect` takes no `image_size`.

    Raises:
        ValueError: `short_sides` is given for a detector of one size, or an argument is out of range.

    Example:
        >>> results = evaluate(TestTimeAugmentation(model), keras_frcnn.data.load("shapes@val"))
    """

    __test__ = False  # otherwise pytest collects the class as a test, because of its name
    only_proposals = False
    has_one_size = True
    detector: Any  # a `Detects`; one of several sizes also has `image_size`

    def __init__(
        self,
        detector: Detects,
        short_sides: Sequence[int] | None = None,
        flip: bool = True,
        nms_iou: float = 0.5,
        max_detections=None,
    ):
        if not 0 <= nms_iou <= 1:
            raise ValueError(f"nms_iou is {nms_iou}; give an IoU from 0 to 1.")
        if max_detections is None:
            max_detections = getattr(detector, "max_detections", 100)
        if max_detections < 1:
            raise ValueError(f"max_detections is {max_detections}; give at least 1.")
        self.detector = detector
        self.class_names = tuple(detector.class_names)
        self.needs_proposals = getattr(detector, "needs_proposals", False)
        self.nms_iou = float(nms_iou)
        self.max_detections = int(max_detections)
        mirrored = (False, True) if flip else (False,)
        self._views = [(size, mirror) for size in self._sizes(short_sides) for mirror in mirrored]

    def _sizes(self, short_sides):
        """The `image_size` of `detect` for each size; a single None for a detector of one size."""
        if getattr(self.detector, "has_one_size", False):
            if short_sides is not None:
                raise ValueError(
                    "This detector has sizes of its own, as exports and models with canvas=True or with "
                    "pyramid_sides have; leave short_sides out."
                )
            return [None]
        short, long = self.detector.image_size
        sides = [round(scale * short) for scale in SCALES] if short_sides is None else list(short_sides)
        if not sides or min(sides) < 1:
            raise ValueError(f"short_sides is {short_sides}; give one or more sides of at least 1 pixel.")
        return [(side, round(side * long / short)) for side in sides]

    def detect(self, image, proposals=None, *, image_size: tuple[int, int] | None = None) -> Any:
        """Detect objects in images of any size; boxes are in pixels of the original image.

        Args:
            image: path, or array `[H, W, 3]` RGB 0–255; or a list of these.
            proposals: array `[P, 4]` xyxy, pixels, or a list of these, for a detector that needs them; by
                default the proposals of selective search.
            image_size: must be None, because the views have their own sizes.

        Returns:
            dict of arrays "boxes" float32 `[N, 4]` (pixels), "scores" float32 `[N]` (0–1, best first) and
            "labels" int32 `[N]` (0…K−1), without padding; a list of dicts for a list of images.

        Raises:
            FileNotFoundError: there is no such file.
            ValueError: a file is not an image, `proposals` is given but the detector makes its own, or
                `image_size` is given.
        """
        if image_size is not None:
            raise ValueError("The views have sizes of their own; leave image_size out, and see short_sides.")
        if isinstance(image, list):
            return detect_each(self, image, proposals, None)
        if proposals is not None and not self.needs_proposals:
            refuse_proposals(self.detector)
        image = image_ops.as_image(image)
        if proposals is None and self.needs_proposals:
            proposals = selective_search(image)  # once here, not in each view
        return self._merged([self._seen(image, proposals, *view) for view in self._views])

    def _seen(self, image, proposals, size, mirror):
        """Detect in one view; boxes are in pixels of the original image."""
        width = image.shape[1]
        given = None if proposals is None else np.asarray(proposals, np.float32)
        if not mirror:
            return self.detector.detect(image, given, image_size=size)
        given = None if given is None else _mirrored(given, width)
        found = self.detector.detect(np.ascontiguousarray(image[:, ::-1]), given, image_size=size)
        return {**found, "boxes": _mirrored(found["boxes"], width)}

    def _merged(self, views):
        boxes, scores, labels = (
            np.concatenate([view[name] for view in views]) for name in ("boxes", "scores", "labels")
        )
        if not len(scores):
            return views[0]
        by_class = tf.one_hot(labels, len(self.class_names)) * scores[:, None]
        *best, count = grouped_nms(
            tf.constant(boxes)[None], by_class[None], self.nms_iou, 0.0, self.max_detections
        )
        count = int(count[0])
        return {name: kept[0, :count].numpy() for name, kept in zip(("boxes", "scores", "labels"), best)}


def _mirrored(boxes, width):
    """Mirror the boxes of an image horizontally: NumPy `[N, 4]`."""
    x1, y1, x2, y2 = np.moveaxis(boxes, -1, 0)
    return np.stack([width - x2, y1, width - x1, y2], axis=-1).astype(np.float32)
