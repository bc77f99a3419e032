"""From annotations as a reader finds them to a data set, the same way for every reader.

Letter: M objects of a picture.
"""

import concurrent.futures
import dataclasses
import pathlib

import numpy as np

from keras_frcnn import images as image_ops
from keras_frcnn.data.dataset import DetectionDataset
from keras_frcnn.data.readers import box_formats
from keras_frcnn.data.readers.upright import decodable, read_header, upright_boxes
from keras_frcnn.data.sources import Files

# Of the pictures, this share may be broken with `on_broken="skip"`, and at least this many.
BROKEN_SHARE, BROKEN = 0.1, 10


@dataclasses.dataclass(frozen=True)
class Reading:
    """How a reader treats what it cannot mend.

    Args:
        missing_annotation: "refuse" a picture without an annotation, or take it as one without objects,
            "empty".
        on_broken: "stop" at a picture that cannot be decoded, or "skip" it.
        allow_outside: whether annotations may name pictures outside the picture folder.

    Raises:
        ValueError: there is no such choice.
    """

    missing_annotation: str = "refuse"
    on_broken: str = "stop"
    allow_outside: bool = False

    def __post_init__(self):
        for name, choices in (("missing_annotation", ("refuse", "empty")), ("on_broken", ("stop", "skip"))):
            if getattr(self, name) not in choices:
                raise ValueError(f"{name} is {getattr(self, name)!r}; use {' or '.join(map(repr, choices))}.")


STRICT = Reading()


@dataclasses.dataclass
class Annotated:
    """One picture and its objects, as annotated.

    Attributes:
        path: the picture.
        image_id: str or int.
        source: str, the annotation, for messages.
        names: list of M class names.
        boxes: list of M `[xmin, ymin, xmax, ymax]`, half-open, pixels of the picture of `size`.
        ignore: list of M bools.
        area: list of M numbers, or None for the areas of the boxes.
        size: stated (height, width), or None.
        relative: whether the boxes are fractions of the upright picture instead.
        written: format of the boxes in the annotation, one of `box_formats.FORMATS`.
    """

    path: pathlib.Path
    image_id: str | int
    source: str
    names: list = dataclasses.field(default_factory=list)
    boxes: list = dataclasses.field(default_factory=list)
    ignore: list = dataclasses.field(default_factory=list)
    area: list | None = None
    size: tuple[int, int] | None = None
    relative: bool = False
    written: str = "xyxy"


def without_annotation(path, image_id, file, reading, check):
    """Take a picture without an annotation as one without objects, where that is asked for.

    Args:
        path: the picture.
        image_id: str.
        file: path that the annotation should have.
        reading, check: see `assemble`.

    Returns:
        `Annotated`.

    Raises:
        FileNotFoundError: it is not asked for.
    """
    if reading.missing_annotation == "refuse":
        raise FileNotFoundError(
            f"There is no annotation {file}; add it, take its image out, or take such images as ones without "
            "objects with --missing-annotation empty."
        )
    check.note("picture", "without an annotation taken as one without objects", str(path))
    return Annotated(path, image_id, str(file))


def assemble(pictures, class_names, check, reading, category_ids=None, source=None, listed=None):
    """Make a data set.

    Args:
        pictures: list of `Annotated`.
        class_names: tuple of the K names, in the order of the labels; None for the sorted names of objects.
        check: `BoxCheck` with the name of the set; it reports here.
        reading: `Reading`.
        category_ids: dict from class name to COCO category id.
        source: source of the pixels (see `sources.py`) if these are in no files; then every picture has a
            size.
        listed: path of the file that lists the classes, for messages.

    Returns:
        DetectionDataset.

    Raises:
        FileNotFoundError: a picture is missing.
        ValueError: an annotation is ambiguous, or a picture cannot be decoded.
    """
    for picture in pictures:
        _check_objects(picture, pictures, check.name)
    _check_scale(pictures, check.name)
    if class_names is None:
        class_names = sorted({name for picture in pictures for name in picture.names})
    _note_likely_twins(class_names, check)
    labels = {name: label for label, name in enumerate(class_names)}
    records, sizes = [], {}
    for picture in _whole(pictures, reading, check):
        boxes = np.array(picture.boxes, np.float64).reshape(-1, 4)
        if source is None:
            height, width, boxes = upright_boxes(picture.path, picture.size, boxes, picture.source)
        else:
            height, width = picture.size
        sizes[picture.path] = picture.size or (height, width)
        if picture.relative:
            boxes = boxes * [width, height, width, height]
        unknown = [name for name in picture.names if name not in labels]
        if unknown:
            raise ValueError(
                f"{picture.source} has the class {unknown[0]}, which {listed or 'the list of classes'} "
                "lacks; add it there."
            )
        objects = [labels[name] for name in picture.names]
        records.append(
            check.record(
                picture.image_id,
                picture.path,
                height,
                width,
                boxes,
                objects,
                picture.ignore,
                picture.area,
                source=picture.source,
            )
        )
    _check_format([picture for picture in pictures if picture.path in sizes], sizes, check.name)
    check.report()
    source = source or Files([decodable(record.file) for record in records])
    return DetectionDataset(check.name, tuple(class_names), records, source, category_ids)


def _check_objects(picture, pictures, set_name):
    for index, (name, box) in enumerate(zip(picture.names, picture.boxes, strict=True)):
        if not name:
            raise ValueError(f"Object {index} of {picture.source} has an empty class name; name its class.")
        left, top, right, bottom = box
        if right < left or bottom < top:
            sizes = {one.path: one.size or read_header(one.path)[:2] for one in pictures}
            _check_format(pictures, sizes, set_name)
            raise ValueError(
                f"Object {index} of {picture.source} ends before it begins (x from {left:g} to {right:g}, y "
                f"from {top:g} to {bottom:g}); swap its corners, or remove it."
            )


def _check_format(pictures, sizes, name):
    """Refuse boxes in another format; `sizes` maps the path of each picture to its height and width."""
    for kind in {(picture.written, picture.relative) for picture in pictures}:
        alike = [picture for picture in pictures if (picture.written, picture.relative) == kind]
        sides = [(1, 1) if kind[1] else sizes[picture.path][::-1] for picture in alike]
        boxes, sides = box_formats.joined([picture.boxes for picture in alike], sides)
        box_formats.refuse_other_format(boxes, sides, kind[0], name)


def _note_likely_twins(class_names, check):
    """Note classes whose names differ only in case, blanks or signs."""
    first = {}
    for name in class_names:
        plain = "".join(letter for letter in name.casefold() if letter.isalnum()) or name
        other = first.setdefault(plain, name)
        if other != name:
            check.note("class", "with nearly the name of another kept apart", f"{other} and {name}")


def _check_scale(pictures, name):
    """Refuse boxes that are fractions of the picture."""
    boxes = [box for picture in pictures if not picture.relative for box in picture.boxes]
    boxes = np.array(boxes, np.float64).reshape(-1, 4)
    boxes = boxes[np.isfinite(boxes).all(axis=1) & (boxes[:, 2:] > boxes[:, :2]).all(axis=1)]
    # Rounding may push a few a little above 1.
    if len(boxes) and ((boxes[:, 2:] <= 1.0).all(axis=1).mean() >= 0.99 or boxes.max() < 1.01):
        raise ValueError(
            f"{name} looks normalized: its boxes end before pixel 1; multiply x by the width and y by the "
            "height of each picture."
        )


def _whole(pictures, reading, check):
    """The pictures that can be decoded, if broken ones are to be skipped; otherwise all."""
    if reading.on_broken == "stop":
        return pictures
    with concurrent.futures.ThreadPoolExecutor() as pool:
        whole = list(pool.map(lambda picture: _decodes(picture.path), pictures))
    for picture, fine in zip(pictures, whole):
        if not fine:
            check.note("picture", "that cannot be decoded skipped", str(picture.path))
    broken = whole.count(False)
    if broken > max(BROKEN, BROKEN_SHARE * len(pictures)) or broken == len(pictures) > 0:
        raise ValueError(
            f"{check.name} has {broken} of {len(pictures)} pictures that cannot be decoded, the first of "
            f"them {pictures[whole.index(False)].path}; that is more than can be skipped, so repair them."
        )
    return [picture for picture, fine in zip(pictures, whole) if fine]


def _decodes(path):
    try:
        read_header(path)
        image_ops.read(path)
    except (ValueError, OSError):
        return False
    return True
