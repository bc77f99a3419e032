"""Draw detections on images.

Letters: H height and W width of an image, N detections, K classes.
"""

from pathlib import Path

import numpy as np

from keras_frcnn.files import replacing
from keras_frcnn.opencv import cv2

FONT = cv2.FONT_HERSHEY_SIMPLEX
# The colors differ in hue and brightness and show up on photographs; with more classes they repeat.
PALETTE = np.array(
    [
        *([230, 57, 70], [29, 140, 248], [255, 183, 3], [46, 175, 80], [155, 93, 229], [251, 111, 36]),
        *([0, 187, 194], [241, 91, 181], [139, 195, 30], [121, 85, 72], [69, 90, 160], [250, 229, 60]),
    ],
    np.uint8,
)
# Text is drawn larger and shrunk, which smooths it better than OpenCV's own anti-aliasing at small sizes.
OVERSAMPLING = 4
# Width of lines and height of capitals, shares of the width and height of the image together; and pixels.
LINE, CAPITALS, LEAST_CAPITALS = 0.0025, 0.011, 8
CELL_WIDTH = 400
# Proposals that a picture of a grid has.
PROPOSALS = 10
MARGIN = 8


def draw(image, detection, class_names, score_threshold=0.5):
    """Draw detections on an image: boxes in the color of their class, each with name and score.

    Args:
        image: uint8 `[H, W, 3]` RGB; it is not changed.
        detection: dict of "boxes" `[N, 4]` xyxy pixels, "scores" `[N]` and "labels" `[N]`, from `detect`;
            ground truth has no scores, and is drawn without them.
        class_names: names of the K classes.
        score_threshold: detections with a lower score are left out.

    Returns:
        uint8 `[H, W, 3]` RGB.

    Example:
        >>> picture = draw(image, model.detect(image), model.class_names)
    """
    canvas = np.array(image, np.uint8, order="C")
    height, width = canvas.shape[:2]
    sure = np.ones(len(detection["labels"]))
    scores = np.asarray(detection.get("scores", sure))
    # Draw the best box last, so that it lies on top; place its label first and paint it last.
    chosen = [index for index in np.argsort(scores, kind="stable") if scores[index] >= score_threshold]
    corners = {index: whole_pixels(detection["boxes"][index], height, width) for index in chosen}
    line, size = _sizes([*corners.values()], height + width)
    colors = {index: PALETTE[int(detection["labels"][index]) % len(PALETTE)] for index in chosen}
    for index in chosen:
        _frame(canvas, corners[index], colors[index], line)
    tags, taken = [], []
    for index in reversed(chosen):
        text = class_names[int(detection["labels"][index])]
        if "scores" in detection:
            text = f"{text} {scores[index]:.2f}"
        tag = _tag(text, colors[index], size)[:height, :width]
        x, y = place(tag.shape[:2], corners[index], (height, width), taken)
        tags.append((tag, x, y))
        taken.append((x, y, x + tag.shape[1], y + tag.shape[0]))
    for tag, x, y in reversed(tags):
        canvas[y : y + tag.shape[0], x : x + tag.shape[1]] = tag
    return canvas


def draw_grid(detector, dataset, path, images=8, columns=4, score_threshold=0.5):
    """Write a grid of images from a data set, evenly spaced, with a detector's detections.

    Args:
        detector: any `detects.Detects`; a detector that `needs_proposals` gets the proposals of the set.
        dataset: `DetectionDataset`; images without objects are skipped if there are enough others.
        path: PNG file to write.
        images: number of images.
        columns: number of cells in a row.
        score_threshold: detections with a lower score are left out. Of an RPN, whose scores are no
            probabilities of classes, the best `PROPOSALS` are drawn instead.
    """
    with_objects = [index for index, record in enumerate(dataset.records) if len(record.labels)]
    candidates = with_objects if len(with_objects) >= images else range(len(dataset))
    count = min(images, len(candidates))
    chosen = [candidates[round(place)] for place in np.linspace(0, len(candidates) - 1, count)]
    ratios = [dataset.records[index].height / dataset.records[index].width for index in chosen]
    cell = round(CELL_WIDTH * float(np.clip(np.median(ratios), 0.5, 1.5))), CELL_WIDTH
    given = getattr(dataset, "proposals", None) if getattr(detector, "needs_proposals", False) else None
    cells = [
        _cell(detector, dataset.image(index), given and given[index], cell, score_threshold)
        for index in chosen
    ]

    write(path, side_by_side(cells, columns))


def side_by_side(pictures, columns):
    """Put pictures of one size into a grid with white margins.

    Args:
        pictures: list of uint8 `[H, W, 3]`.
        columns: largest number of pictures in a row.

    Returns:
        uint8 array, the grid.
    """
    columns = min(columns, len(pictures))
    height, width = (side + MARGIN for side in pictures[0].shape[:2])
    rows = -(-len(pictures) // columns)
    grid = np.full([MARGIN + rows * height, MARGIN + columns * width, 3], 255, np.uint8)
    for number, picture in enumerate(pictures):
        y, x = MARGIN + number // columns * height, MARGIN + number % columns * width
        grid[y : y + picture.shape[0], x : x + picture.shape[1]] = picture
    return grid


def outline(image, box, color, line):
    """Draw the edges of a box onto an image, inside its border.

    Args:
        image: uint8 `[H, W, 3]` RGB, which is changed.
        box: four floats xyxy, pixels.
        color: three ints 0–255, RGB.
        line: width of the edges, pixels.
    """
    _frame(image, whole_pixels(box, *image.shape[:2]), color, line)


def write(path, image):
    """Write an image in the format of the file name's suffix.

    Args:
        path: file to write, such as "cells.png".
        image: uint8 `[H, W, 3]` RGB.
    """
    _, encoded = cv2.imencode(Path(path).suffix, image[..., ::-1])
    with replacing(path) as partial:
        partial.write_bytes(encoded.tobytes())


def _cell(detector, image, proposals, cell, score_threshold):
    # Scale before drawing, so that lines and text are as crisp in a small image as in a large one.
    height, width = image.shape[:2]
    scale = min(cell[0] / height, cell[1] / width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    scaled = cv2.resize(image, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
    found = detector.detect(image) if proposals is None else detector.detect(image, proposals)
    if getattr(detector, "only_proposals", False):
        found, score_threshold = {name: rows[:PROPOSALS] for name, rows in found.items()}, 0.0
    boxes = found["boxes"] * (np.array([*size, *size]) / [width, height, width, height])
    picture = np.full([*cell, 3], 236, np.uint8)
    top, left = (cell[0] - size[1]) // 2, (cell[1] - size[0]) // 2
    drawn = draw(scaled, {**found, "boxes": boxes}, detector.class_names, score_threshold)
    picture[top : top + size[1], left : left + size[0]] = drawn
    return picture


def whole_pixels(box, height, width):
    """Half-open corners of a box in whole pixels inside the image, at least one pixel wide and high."""
    x1, y1, x2, y2 = np.rint(np.asarray(box, np.float64)).astype(int)
    x1, y1 = min(max(x1, 0), width - 1), min(max(y1, 0), height - 1)
    return x1, y1, min(max(x2, x1 + 1), width), min(max(y2, y1 + 1), height)


def _sizes(boxes, extent):
    """Width of lines and height of capitals for an image of some width and height together, pixels.

    They grow with the image, because it is shown as a whole, but not beyond what the boxes have room for.
    """
    side = np.median([min(x2 - x1, y2 - y1) for x1, y1, x2, y2 in boxes]) if boxes else np.inf
    line, size = min(LINE * extent, side / 16), min(CAPITALS * extent, side / 6)
    return max(1, round(line)), max(LEAST_CAPITALS, round(size))


def _frame(canvas, corners, color, line):
    # Use slices: cv2.rectangle rounds the corners of thick lines and centers the lines on the edge.
    x1, y1, x2, y2 = corners
    canvas[y1 : min(y1 + line, y2), x1:x2] = color
    canvas[max(y2 - line, y1) : y2, x1:x2] = color
    canvas[y1:y2, x1 : min(x1 + line, x2)] = color
    canvas[y1:y2, max(x2 - line, x1) : x2] = color


def _tag(text, color, size):
    """Draw a filled label with capitals `size` pixels high."""
    thickness = max(1, round(size * OVERSAMPLING / 7))
    scale = cv2.getFontScaleFromHeight(FONT, size * OVERSAMPLING, thickness)
    (width, _), below = cv2.getTextSize(text, FONT, scale, thickness)
    space = max(2, size // 3)
    height = size + 2 * space + round(below / OVERSAMPLING / 2)
    mask = np.zeros([height * OVERSAMPLING, width + 2 * space * OVERSAMPLING], np.uint8)
    origin = space * OVERSAMPLING, (space + size) * OVERSAMPLING
    cv2.putText(mask, text, origin, FONT, scale, 255, thickness, cv2.LINE_AA)
    shape = mask.shape[1] // OVERSAMPLING, height
    mask = cv2.resize(mask, shape, interpolation=cv2.INTER_AREA)[..., None] / 255.0
    ink = 0 if color @ [0.299, 0.587, 0.114] > 140 else 255
    return np.rint(color * (1 - mask) + ink * mask).astype(np.uint8)


def place(size, corners, shape, taken):
    """Place a label above, below or inside its box, at the first place free of other labels.

    Args:
        size: height and width of the label, pixels.
        corners: xyxy of the box.
        shape: height and width of the image.
        taken: list of xyxy, the other labels.

    Returns:
        x and y of the upper left corner of the label, which lies inside the image if it fits.
    """
    height, width = size
    x1, y1, x2, y2 = corners
    places = [
        (x1, y1 - height),
        (x2 - width, y1 - height),
        (x1, y2),
        (x2 - width, y2),
        (x1, y1),
        (x1, y2 - height),
    ]
    inside = [(x, y) for x, y in places if 0 <= y <= shape[0] - height and 0 <= x <= shape[1] - width]
    free = [
        (x, y) for x, y in inside if not any(_overlap((x, y, x + width, y + height), one) for one in taken)
    ]
    x, y = (free or inside or [(x1, y1 - height)])[0]
    return min(max(x, 0), shape[1] - width), min(max(y, 0), shape[0] - height)


def _overlap(one, other):
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
