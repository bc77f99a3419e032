"""How well anchors cover the objects of a set, without any network.

Letters: N objects, k anchors of a cell.
"""

from collections.abc import Sequence

import numpy as np

from keras_frcnn import images as image_ops
from keras_frcnn.data import DetectionDataset
from keras_frcnn.layers import AnchorGenerator

# Factors that `better_factor` tries, four an octave.
FACTORS = 2.0 ** (np.arange(-16, 17) / 4)
# A mean that is better by less than this is no reason to change the anchors.
NOTICEABLE = 0.02
# Objects, evenly spaced, that stand for all in the search for a factor.
ENOUGH = 2000


def resized_objects(dataset: DetectionDataset, image_size: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """The objects that count, as a detector sees them after the resize.

    Args:
        dataset: the set.
        image_size: `(short side, limit of the long side)`, pixels.

    Returns:
        Boxes float64 `[N, 4]` xyxy, and height and width of the image of each, `[N, 2]`, pixels.
    """
    boxes, shapes, sizes = [np.zeros([0, 4])], [np.zeros([0, 2])], {}
    for record in dataset.records:
        size = record.height, record.width
        if size not in sizes:
            sizes[size] = [int(side) for side in image_ops.resized_shape(*size, image_size)]
        height, width = sizes[size]
        counts = record.boxes[~record.ignore].astype(np.float64)
        boxes.append(counts * ([width / record.width, height / record.height] * 2))
        shapes.append(np.full([len(counts), 2], sizes[size]))
    return np.concatenate(boxes), np.concatenate(shapes)


def best_anchor_iou(
    anchors: AnchorGenerator, boxes: np.ndarray, shapes: np.ndarray, cross_border: bool = True
) -> np.ndarray:
    """IoU of each object with the anchor that fits it best.

    Args:
        anchors: the generator.
        boxes: float `[N, 4]` xyxy, pixels of the resized images.
        shapes: `[N, 2]`, height and width of the image of each object, pixels.
        cross_border: whether anchors that cross the border of the image count, if their center is inside.

    Returns:
        float64 `[N]`, 0 to 1.

    Example:
        >>> anchors = AnchorGenerator(sizes=(32, 64), strides=(4, 8))
        >>> best_anchor_iou(anchors, np.array([[8.0, 8, 40, 40]]), np.array([[128, 128]])).round(2)
        array([0.78])
    """
    boxes, sides = np.asarray(boxes, np.float64), np.asarray(shapes, np.float64)[:, ::-1]
    best = np.zeros(len(boxes))
    area = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)
    for level, stride in enumerate(anchors.strides):
        cells = np.ceil(sides / stride)
        finest = np.ceil(sides / anchors.strides[0]) * anchors.strides[0]
        step = finest // cells if anchors.steps == "quotient" else np.full_like(cells, stride)
        for anchor in anchors.cell_anchors(level).astype(np.float64):
            # The overlaps in x and in y are independent, and each is largest where the centers are nearest.
            place = np.round(((boxes[:, :2] + boxes[:, 2:]) - (anchor[:2] + anchor[2:])) / 2 / step)
            center = (anchor[:2] + anchor[2:]) / 2
            low, high = (center, center) if cross_border else (anchor[:2], anchor[2:])
            first = np.maximum(np.ceil(-low / step), 0)
            last = np.minimum(np.floor((sides - high) / step), cells - 1)
            place = np.clip(place, first, np.maximum(last, first))
            low, high = anchor[:2] + place * step, anchor[2:] + place * step
            shared = np.minimum(high, boxes[:, 2:]) - np.maximum(low, boxes[:, :2])
            shared = np.prod(np.maximum(shared, 0), axis=1) * (last >= first).all(axis=1)
            union = np.prod(anchor[2:] - anchor[:2]) + area - shared
            best = np.maximum(best, shared / union)
    return best


def better_factor(
    anchors: AnchorGenerator, boxes: np.ndarray, shapes: np.ndarray, cross_border: bool = True
) -> float:
    """The factor by which the anchors should grow so that they fit the objects best.

    Args:
        anchors, boxes, shapes, cross_border: see `best_anchor_iou`.

    Returns:
        float, four steps an octave; 1 where no other is noticeably better.
    """
    if not len(boxes):
        return 1.0
    some = np.linspace(0, len(boxes) - 1, min(len(boxes), ENOUGH)).astype(int)
    boxes, shapes = boxes[some], np.asarray(shapes)[some]

    def mean(factor):
        return best_anchor_iou(scaled(anchors, factor), boxes, shapes, cross_border).mean()

    means = [mean(factor) for factor in FACTORS]
    best = int(np.argmax(means))
    return float(FACTORS[best]) if means[best] >= mean(1.0) + NOTICEABLE else 1.0


def scaled(anchors: AnchorGenerator, factor: float) -> AnchorGenerator:
    """The same anchors with other sides."""
    config = anchors.get_config()
    config["sizes"] = [[side * factor for side in level] for level in config["sizes"]]
    return AnchorGenerator.from_config(config)
