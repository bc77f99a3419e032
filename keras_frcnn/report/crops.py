"""Small pictures of errors and of whole images, as JPEG.

Letters: H height and W width of an image, N boxes.
"""

from collections.abc import Sequence

import numpy as np

from keras_frcnn.drawing import outline
from keras_frcnn.opencv import cv2

# Colors of objects and of detections, RGB; they differ also for who cannot tell red from green.
OBJECT, DETECTION = (0, 220, 120), (255, 60, 160)
# Longest sides of a crop and of a whole image, pixels, and how many times its boxes a crop shows.
CROP_SIDE, IMAGE_SIDE, SURROUNDINGS = 400, 480, 2.0
# A crop shows at least so many pixels of the image.
LEAST = 48
QUALITY = 80


def crop(image: np.ndarray, box: Sequence[float] | None, object_box: Sequence[float] | None) -> bytes:
    """The surroundings of a detection and an object, with both boxes.

    Args:
        image: uint8 `[H, W, 3]` RGB.
        box: xyxy, pixels, the detection; None for none.
        object_box: the object; None for none. One of the two is there.

    Returns:
        A JPEG file.
    """
    boxes = np.array([one for one in (box, object_box) if one is not None], np.float64)
    low, high = boxes[:, :2].min(0), boxes[:, 2:].max(0)
    half = np.maximum(SURROUNDINGS * (high - low), LEAST) / 2
    height, width = image.shape[:2]
    x1, y1 = np.clip(np.floor((low + high) / 2 - half), 0, [width - 1, height - 1]).astype(int)
    x2, y2 = np.clip(np.ceil((low + high) / 2 + half), [x1 + 1, y1 + 1], [width, height]).astype(int)
    shift = np.array([x1, y1, x1, y1])
    objects, detections = (
        [np.asarray(one, np.float64) - shift] if one is not None else [] for one in (object_box, box)
    )
    # Objects are drawn thicker and first, so that a detection on top of one leaves it visible.
    return _picture(image[y1:y2, x1:x2], [(objects, OBJECT, 6), (detections, DETECTION, 3)], CROP_SIDE)


def overview(
    image: np.ndarray, found: np.ndarray, missed: np.ndarray, right: np.ndarray, wrong: np.ndarray
) -> bytes:
    """A whole image with the boxes of its objects and detections; the errors have thick lines.

    Args:
        image: uint8 `[H, W, 3]` RGB.
        found, missed: `[N, 4]` xyxy, pixels, the objects.
        right, wrong: `[N, 4]`, the detections.

    Returns:
        A JPEG file.
    """
    layers = [(found, OBJECT, 1), (right, DETECTION, 1), (missed, OBJECT, 4), (wrong, DETECTION, 4)]
    return _picture(image, layers, IMAGE_SIDE)


def _picture(image, layers, longest):
    height, width = image.shape[:2]
    scale = longest / max(height, width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    canvas = np.ascontiguousarray(cv2.resize(np.asarray(image, np.uint8), size, interpolation=method))
    factors = np.array([size[0] / width, size[1] / height] * 2)
    for boxes, color, line in layers:
        for one in boxes:
            outline(canvas, one * factors, color, line)
    _, encoded = cv2.imencode(".jpg", canvas[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    return encoded.tobytes()
