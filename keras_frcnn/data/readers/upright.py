"""Check annotated sizes and boxes against the image files; only the file headers are read."""

from pathlib import Path

from keras_frcnn import images as image_ops
from keras_frcnn.images import headers, other_formats

# Bytes that hold nearly every header; a longer header costs a second read.
_PREFIX = 65536


def read_header(path):
    """Size and orientation of an image file.

    Args:
        path: the file.

    Returns:
        `(height, width, orientation)` as `headers.header` returns them.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is not an image, or is too large.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"There is no image file {path}; check the path.")
    with open(path, "rb") as file:
        contents = file.read(_PREFIX)
        found = headers.header(contents)
        if found is None and len(contents) == _PREFIX:
            found = headers.header(contents + file.read())
        if other_formats.is_other(contents):
            file, orientation = other_formats.as_png(path, image_ops.turned)
            height, width = read_header(file)[:2] if orientation < 5 else read_header(file)[1::-1]
            return height, width, orientation
    if found is None:
        raise ValueError(image_ops.undecodable(path, of_set=True))
    headers.check_size(*found[:2], path)
    return found


def decodable(path):
    """The file itself if TensorFlow decodes it, or the PNG in the cache that stands for it."""
    with open(path, "rb") as file:
        other = other_formats.is_other(file.read(64))
    return other_formats.as_png(path, image_ops.turned)[0] if other else path


def upright_boxes(path, size, boxes, annotation):
    """Map boxes to the upright image, whether they were annotated on the stored or the upright one.

    Args:
        path: the image file.
        size: `(height, width)` that the annotation states, or None.
        boxes: NumPy `[M, 4]` xyxy in pixels of the image of that size.
        annotation: name of the annotation in messages.

    Returns:
        `(height, width, boxes)`: size of the upright image and its boxes.

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
        return height, width, image_ops.turn_boxes_upright(boxes, orientation, height, width)
    raise ValueError(
        f"{annotation} states {size[1]}x{size[0]} pixels but {path} has {width}x{height}; make the two agree."
    )
