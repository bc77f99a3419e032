"""Bringing stated sizes and boxes in line with the image files, of which only the header is read."""

from keras_frcnn import images
from keras_frcnn.images import headers

# Enough for nearly every header; a longer one costs a second look at the file.
_PREFIX = 65536


def read_header(path):
    """Size and orientation of an image file.

    Args:
        path: the file.

    Returns:
        `(height, width, orientation)` as `headers.header` gives them.

    Raises:
        ValueError: the file is no image.
    """
    with open(path, "rb") as file:
        contents = file.read(_PREFIX)
        found = headers.header(contents)
        if found is None and len(contents) == _PREFIX:
            found = headers.header(contents + file.read())
    if found is None:
        raise ValueError(images.undecodable(path))
    return found


def upright_boxes(path, size, boxes, annotation):
    """Carry boxes to the upright image, whichever way up it was annotated.

    Args:
        path: the image file.
        size: `(height, width)` that the annotation states, or None.
        boxes: NumPy `[M, 4]` xyxy in pixels of the image of that size.
        annotation: what messages call the annotation.

    Returns:
        `(height, width, boxes)`: size of the upright image and the boxes in it.

    Raises:
        ValueError: the image has another size.
    """
    height, width, orientation = read_header(path)
    stored = height, width
    if orientation >= 5:
        height, width = width, height
    if size is None or size == (height, width):
        return height, width, boxes
    if size == stored:
        return height, width, images.turn_boxes_upright(boxes, orientation, height, width)
    raise ValueError(
        f"{annotation} states {size[1]}x{size[0]} pixels but {path} has {width}x{height}; make the two agree."
    )
