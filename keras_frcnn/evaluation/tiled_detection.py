"""Detection in tiles: small objects in large images keep their pixels.

Letters: N detections.
"""

import math
from typing import Any

import numpy as np

from keras_frcnn import images as image_ops
from keras_frcnn.detects import Detects, detect_each, refuse_proposals
from keras_frcnn.evaluation.passes import check_batch_size, detect_in_passes
from keras_frcnn.evaluation.voc import pairwise_iou

# A box so near to an inner border of its tile, in pixels, is taken for a part of an object.
BORDER = 3.0
SMALLEST = 16
# A box whose distance from every inner border is a larger share of its side is no part of an object.
CLEAR = 0.1
# Share of the score in the whole image from which on the tile is believed.
SURE = 0.5
# Share of a part that lies in another detection of its class, from which on it is a part of that.
PART = 0.7


class TiledDetection:
    """A detector that runs on overlapping tiles of an image and on the whole image, and merges the results.

    An object that a border cuts is seen whole in the next tile if it is smaller than the overlap; its parts
    are left out. Larger objects are found in the whole image, which takes their parts. What overlaps a better
    detection of its class is dropped, also across borders; and what was found in the whole image, if it
    overlaps what a tile, which has more pixels, shows whole.

    Args:
        detector: a model, an export or any other `detects.Detects` that makes its own proposals.
        side: side of the square tiles, pixels.
        overlap: share of a tile's side that it has in common with the next one at least, 0 to below 1.
        nms_iou: a detection whose IoU with a better one of its class exceeds this is dropped, 0 to 1.
        max_detections: int, largest number of detections per image, best first; None for all.
        batch_size: largest number of tiles in one pass.

    Attributes:
        class_names: tuple of the names of the classes.
        needs_proposals, only_proposals: False.
        has_one_size: True, because `detect` takes no `image_size`.

    Raises:
        ValueError: the detector works on external proposals or is an RPN, or an argument is out of range.

    Example:
        >>> found = TiledDetection(model, side=640).detect("harbor.jpg")
    """

    needs_proposals = only_proposals = False
    has_one_size = True

    def __init__(
        self,
        detector: Detects,
        side: int,
        overlap: float = 0.25,
        nms_iou: float = 0.5,
        max_detections: int | None = None,
        batch_size: int = 1,
    ):
        if detector.needs_proposals or detector.only_proposals:
            raise ValueError("Tiles are for detectors that make their own proposals and name classes.")
        if side < SMALLEST:
            raise ValueError(f"side is {side}; give tiles of at least {SMALLEST} pixels.")
        if not 0 <= overlap < 1:
            raise ValueError(f"overlap is {overlap}; give a share from 0 to below 1.")
        if not 0 <= nms_iou <= 1:
            raise ValueError(f"nms_iou is {nms_iou}; give an IoU from 0 to 1.")
        if max_detections is not None and max_detections < 1:
            raise ValueError(f"max_detections is {max_detections}; give at least 1.")
        check_batch_size(detector, batch_size)
        self.detector, self.batch_size = detector, batch_size
        self.side, self.overlap, self.nms_iou = int(side), float(overlap), float(nms_iou)
        self.max_detections = None if max_detections is None else int(max_detections)
        self.class_names = tuple(detector.class_names)

    def detect(self, image, proposals=None, *, image_size: tuple[int, int] | None = None) -> Any:
        """Detect objects in images of any size; boxes are in pixels of the given image.

        Args:
            image: path, or array `[H, W, 3]` RGB 0–255; or a list of these.
            proposals: must be None.
            image_size: must be None, because tiles have their own.

        Returns:
            dict of arrays "boxes" float32 `[N, 4]` (pixels), "scores" float32 `[N]` (0–1, best first) and
            "labels" int32 `[N]`, without padding; a list of dicts for a list of images.

        Raises:
            FileNotFoundError: there is no such file.
            ValueError: a file is not an image, or `proposals` or `image_size` is given.
        """
        if image_size is not None:
            raise ValueError("Tiles have a size of their own; leave image_size out, and see side.")
        if proposals is not None:
            refuse_proposals(self.detector)
        if isinstance(image, list):
            return detect_each(self, image, None, None)
        image = image_ops.as_image(image)
        height, width = image.shape[:2]
        whole = self.detector.detect(image)
        found = []
        if max(height, width) > self.side:
            tiles = detect_in_passes(self.detector, self._tiles(image), self.batch_size)
            found = [self._seen(image, *corner, answer) for corner, _, answer in tiles]
            seen = self._seen_in_tiles(whole, found)
            whole = {name: values[~seen] for name, values in whole.items()}
            found = [(answer, part) for answer, part, _ in found]
        found.append((whole, np.zeros(len(whole["scores"]), bool)))
        return self._merged([answer for answer, _ in found], np.concatenate([part for _, part in found]))

    def _starts(self, length):
        """Where the tiles along a side begin: evenly spaced, with the overlap or more."""
        rest = max(length - self.side, 0)
        count = 1 + math.ceil(rest / max(self.side * (1 - self.overlap), 1))
        return np.linspace(0, rest, count).round().astype(int).tolist()

    def _tiles(self, image):
        """Yield the corner of each tile, and the tile."""
        for top in self._starts(image.shape[0]):
            for left in self._starts(image.shape[1]):
                tile = image[top : top + self.side, left : left + self.side]
                yield (top, left), np.ascontiguousarray(tile)

    def _seen(self, image, top, left, answer):
        """Detections of a tile, in pixels of the image, and two masks: which are parts of larger objects, and
        which are so far from inner borders that they cannot be."""
        height, width = image.shape[:2]
        boxes = answer["boxes"] + np.array([left, top, left, top], np.float32)
        corner = np.array([left, top])
        end = np.minimum(corner + self.side, [width, height])
        inner = np.concatenate([corner > 0, end < [width, height]])
        distances = np.abs(boxes - np.concatenate([corner, end]))
        cut = (distances <= BORDER) & inner
        sides = np.tile(boxes[:, 2:] - boxes[:, :2], 2)
        clear = ~((distances <= np.maximum(BORDER, CLEAR * sides)) & inner).any(1)
        along = cut[:, :2] | cut[:, 2:]
        # Another tile sees a smaller object whole, and neither of its borders near.
        small = boxes[:, 2:] - boxes[:, :2] < self.side * self.overlap - 2 * BORDER
        kept = ~(along & small).any(1)
        answer = {"boxes": boxes[kept], "scores": answer["scores"][kept], "labels": answer["labels"][kept]}
        return answer, along.any(1)[kept], clear[kept]

    def _seen_in_tiles(self, whole, found):
        """Which detections in the whole image are of something that a tile shows whole, about as surely."""
        boxes, scores = (
            np.concatenate([answer[name][clear] for answer, _, clear in found])
            for name in ("boxes", "scores")
        )
        same = pairwise_iou(whole["boxes"], boxes) > self.nms_iou
        return (same & (scores >= SURE * whole["scores"][:, None])).any(1)

    def _merged(self, answers, parts):
        """The best of overlapping detections of each class."""
        boxes, scores, labels = (
            np.concatenate([answer[name] for answer in answers]) for name in ("boxes", "scores", "labels")
        )
        kept = []
        for label in np.unique(labels):
            mine = np.flatnonzero(labels == label)
            # Whole detections first, so that a part never takes the object that it is of.
            mine = mine[np.lexsort((-scores[mine], parts[mine]))]
            kept += self._suppressed(boxes, mine, parts)
        order = sorted(kept, key=lambda index: -scores[index])[: self.max_detections]
        return {"boxes": boxes[order], "scores": scores[order], "labels": labels[order]}

    def _suppressed(self, boxes, order, parts):
        """The indices that stay of those of one class, best first."""
        kept = []
        while len(order):
            first, order = order[0], order[1:]
            kept.append(first)
            if not len(order):
                break
            others = boxes[order]
            iou = pairwise_iou(boxes[first][None], others)[0]
            sides = np.minimum(boxes[first, 2:], others[:, 2:]) - np.maximum(boxes[first, :2], others[:, :2])
            area = np.maximum((others[:, 2:] - others[:, :2]).prod(1), 1e-9)
            covered = np.maximum(sides, 0).prod(1) / area
            order = order[(iou <= self.nms_iou) & ~(parts[order] & (covered >= PART))]
        return kept
