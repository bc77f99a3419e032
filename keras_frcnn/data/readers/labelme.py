"""Folders of LabelMe: a JSON file beside each picture."""

import math

from keras_frcnn.data.readers import scalars
from keras_frcnn.data.readers.assembly import STRICT, Annotated, assemble, without_annotation
from keras_frcnn.data.readers.json_file import read_json
from keras_frcnn.data.readers.pictures import Pictures, expanded, is_blank, is_dir, normal
from keras_frcnn.data.records import BoxCheck


def parse(text, spec, reading):
    """Read the set that TEXT of "labelme:TEXT" names, or return None if it is empty."""
    return load(text, spec, reading) if text else None


def load(folder, name=None, reading=STRICT):
    """Read a folder of pictures with a LabelMe JSON file for each.

    Args:
        folder: path; sub-folders count too.
        name: str, name of the set in messages.
        reading: `Reading`.

    Returns:
        DetectionDataset; each shape is taken by the box around it. The classes are the sorted labels.

    Raises:
        FileNotFoundError: the folder or a picture is missing.
        ValueError: a file is not LabelMe's.
    """
    folder = expanded(folder)
    check = BoxCheck(name or f"labelme:{folder}", reading.collected)
    if not is_dir(folder):
        raise FileNotFoundError(f"There is no folder {folder}; name the one that LabelMe wrote to.")
    files = Pictures(folder)
    annotations = Pictures(folder, (".json",)).files
    if not annotations:
        raise FileNotFoundError(f"{folder} has no JSON file of LabelMe; name the folder that it wrote to.")
    found = {}
    for file in annotations:
        with check.part():
            picture = _picture(file, files, reading, check)
            other = found.setdefault(picture.path, picture)
            if other is not picture:
                raise ValueError(
                    f"{other.source} and {picture.source} are both of the picture {picture.path}; remove one."
                )
    known = {*annotations}
    for path in files.files:
        if path in found:
            continue
        beside = path.with_suffix(".json")
        if reading.collected is None or beside not in known:
            with check.part():
                found[path] = without_annotation(path, _id(path, folder), beside, reading, check)
    return assemble(list(found.values()), None, check, reading)


def _picture(file, files, reading, check):
    lenient = reading.missing_annotation == "empty"
    content = {} if lenient and is_blank(file) else read_json(file)
    shapes = content.get("shapes") if isinstance(content, dict) else None
    without = lenient and isinstance(content, dict) and shapes is None
    shapes = [] if without else shapes
    if not isinstance(shapes, list):
        raise ValueError(f"{file} is no file of LabelMe (it has no list of `shapes`); move or remove it.")
    named = content.get("imagePath")
    beside = file.relative_to(files.folder).parent
    last = normal(named).rpartition("/")[2] if isinstance(named, str) else ""
    places = [(beside / last).as_posix(), (beside / file.stem).as_posix(), last]
    found = (files.find(place, str(file))[0] for place in places if place not in ("", "."))
    path = next((path for path in found if path is not None), None)
    if path is None:
        raise FileNotFoundError(f"There is no picture of {file}; add it, or remove the file.")
    if without:
        return without_annotation(path, _id(path, files.folder), file, reading, check)
    try:
        size = scalars.side(content.get("imageHeight")), scalars.side(content.get("imageWidth"))
    except ValueError as error:
        raise ValueError(f"{file} has an `imageHeight` or `imageWidth` that is wrong: {error}.") from None
    picture = Annotated(path, _id(path, files.folder), str(file), size=size if all(size) else None)
    for index, shape in enumerate(shapes):
        place = f"Shape {index} of {file}"
        with check.part():
            label, box = _label(shape, place), _box(shape, place)
            picture.names.append(label)
            picture.boxes.append(box)
            picture.ignore.append(False)
            if shape.get("shape_type", "polygon") != "rectangle":
                check.note("shape", "other than a rectangle replaced with the box around it", place)
    return picture


def _label(shape, place):
    label = shape.get("label") if isinstance(shape, dict) else None
    try:
        name = scalars.class_name(label)
    except ValueError as error:
        raise ValueError(f"{place} has a `label` that is wrong: {error}; name its class.") from None
    if not name:
        raise ValueError(f"{place} has no `label`; name its class, or remove it.")
    return name


def _box(shape, place):
    """The box around a shape."""
    try:
        points = [scalars.numbers(point, 2) for point in shape.get("points") or []]
        if not points:
            raise ValueError("there are none")
    except (TypeError, ValueError) as error:
        raise ValueError(f"{place} has `points` that are wrong: {error}; repair or remove it.") from None
    if shape.get("shape_type") == "circle" and len(points) == 2:
        (x, y), edge = points
        radius = math.dist((x, y), edge)
        points = [[x - radius, y - radius], [x + radius, y + radius]]
    x, y = zip(*points)
    return scalars.hull(x, y)


def _id(path, folder):
    return path.relative_to(folder).with_suffix("").as_posix()
