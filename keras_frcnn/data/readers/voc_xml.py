"""One annotation in the XML of PASCAL VOC, as labelImg, CVAT and Roboflow write it."""

import math
import re
import typing
import xml.etree.ElementTree as ElementTree
from typing import Any

import defusedxml
from defusedxml.ElementTree import fromstring

from keras_frcnn.data.readers import scalars

# Larger files are no annotation of one picture.
MOST_BYTES = 16 * 2**20
# Encodings that the XML parser knows by itself.
PARSED = ("utf-8", "utf-16", "us-ascii", "ascii", "iso-8859-1")
CORNERS = ("xmin", "ymin", "xmax", "ymax")


class VocXml(typing.NamedTuple):
    """Contents of one file.

    Attributes:
        size: stated (height, width), or None.
        names: list of M class names.
        boxes: list of M `[xmin, ymin, xmax, ymax]`, half-open.
        difficult: list of M bools.
        filename: str, the picture that it names, "" for none.
        rotated: list of the objects whose box is the hull of a polygon or of a rotated box.
    """

    size: tuple[int, int] | None
    names: list
    boxes: list
    difficult: list
    filename: str
    rotated: list


def read(file, check) -> VocXml:
    """Read an annotation.

    Args:
        file: path.
        check: `BoxCheck`, whose `part` decides about an object that is wrong.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is not a VOC annotation.
    """
    try:
        contents = file.read_bytes()
    except OSError as error:
        raise FileNotFoundError(f"{file} cannot be read ({error.strerror}); check the path.") from None
    if len(contents) > MOST_BYTES:
        raise ValueError(
            f"{file} has more than {MOST_BYTES >> 20} MiB, which no annotation of a picture has."
        )
    root = _parsed(contents, file)
    if root.tag.lower() != "annotation":
        remedy = "; export it as VOC, COCO or YOLO" if root.tag == "annotations" else ""
        remedy = "; remove its xmlns" if root.tag.startswith("{") else remedy
        raise ValueError(
            f"{file} is no VOC annotation: it begins with <{root.tag}>, not <annotation>{remedy}."
        )
    objects = root.findall("object")
    if not objects and any(part.tag.lower() in ("object", "bndbox") for part in root.iter()):
        raise ValueError(
            f"{file} has objects where VOC has none; put each <object> directly below <annotation>."
        )
    names, boxes, difficult, rotated = [], [], [], []
    # Read direct children only: the parts of a VOC person are nested objects outside the classes.
    for index, item in enumerate(objects):
        if (item.findtext("deleted") or "").strip() == "1":
            continue  # LabelMe's web tool keeps them
        with check.part():
            name, box, is_hull, hard = _object(item, f"Object {index} of {file}")
            rotated += [len(names)] * is_hull
            names.append(name)
            boxes.append(box)
            difficult.append(hard)
    try:
        size = scalars.side(root.findtext("size/height")), scalars.side(root.findtext("size/width"))
    except ValueError:
        raise ValueError(f"The size in {file} is not a pair of whole numbers; repair it.") from None
    filename = (root.findtext("filename") or "").strip()
    return VocXml(size if all(size) else None, names, boxes, difficult, filename, rotated)


def _object(item, place):
    """The name, the box, whether it is a hull, and whether the object is difficult."""
    name = item.findtext("name")
    if name is None or not name.strip():
        raise ValueError(f"{place} lacks a name; name its class, or remove it.")
    try:
        box, is_hull = _box(item)
    except ValueError as error:
        raise ValueError(f"{place} lacks a bndbox of four numbers ({error}); repair or remove it.") from None
    try:
        difficult = scalars.flag(item.findtext("difficult"))
    except ValueError as error:
        raise ValueError(f"{place} has a `difficult` that is wrong: {error}; write 0 or 1.") from None
    return scalars.class_name(name), box, is_hull, difficult


def _parsed(contents, file):
    """Parse XML in any encoding that Python knows."""
    declared = re.match(rb"<\?xml[^>]*encoding=[\"']([A-Za-z0-9._-]+)[\"'][^>]*\?>", contents.lstrip())
    text: Any = contents.lstrip()
    try:
        if declared and declared[1].decode().lower() not in PARSED:
            text = text.decode(declared[1].decode())[declared.end() :]
        return fromstring(text)
    except LookupError:
        reason = f"its encoding {declared[1].decode() if declared else ''} is unknown"
    except UnicodeDecodeError as error:
        reason = f"byte {error.start} is not {error.encoding}"
    except (ElementTree.ParseError, defusedxml.DefusedXmlException, ValueError) as error:
        reason = str(error).partition("\n")[0] or type(error).__name__
    raise ValueError(f"{file} is not readable as XML ({reason}); repair or remove it, or save it as UTF-8.")


def _box(item):
    """The box of an object, `[xmin, ymin, xmax, ymax]` half-open, and whether it is a hull."""
    box, hull = item.find("bndbox"), True
    if box is not None:
        corners, hull = [scalars.number(box.findtext(key)) for key in CORNERS], False
    elif (polygon := item.find("polygon")) is not None:
        corners = scalars.hull(*_points(polygon))
    elif (turned := item.find("robndbox")) is not None:
        x, y, width, height, angle = (
            scalars.number(turned.findtext(key)) for key in ("cx", "cy", "w", "h", "angle")
        )
        half_width = (abs(width * math.cos(angle)) + abs(height * math.sin(angle))) / 2
        half_height = (abs(width * math.sin(angle)) + abs(height * math.cos(angle))) / 2
        corners = [x - half_width, y - half_height, x + half_width, y + half_height]
    else:
        raise ValueError("there is none")
    # Convert 1-based inclusive corners to 0-based half-open ones. Equal corners stay without area.
    shift = float(corners[0] != corners[2] and corners[1] != corners[3])
    return [corners[0] - shift, corners[1] - shift, corners[2], corners[3]], hull


def _points(polygon):
    """The x and the y of a polygon: elements `x1`, `y1`, `x2` …, or several with `x` and `y`."""
    points = [[], []]
    for child in polygon.iter():
        for axis, values in zip("xy", points):
            if re.fullmatch(rf"{axis}\d*", child.tag):
                values.append(scalars.number(child.text))
    if len(points[0]) < 3 or len(points[0]) != len(points[1]):
        raise ValueError("its polygon has fewer than three points")
    return points
