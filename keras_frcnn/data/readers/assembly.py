"""From annotations as a reader finds them to a data set, the same way for every reader.

Letter: M objects of a picture.
"""

import concurrent.futures
import dataclasses
import math
import pathlib

import numpy as np

from keras_frcnn import images as image_ops
from keras_frcnn.class_names import fault, plain
from keras_frcnn.data.dataset import DetectionDataset
from keras_frcnn.data.readers import box_formats
from keras_frcnn.data.readers.upright import decodable, read_header, upright_boxes
from keras_frcnn.data.records import Collected
from keras_frcnn.data.sources import Files

# Objects of a picture. Training compares each of them with each anchor.
MOST_OBJECTS = 5000
# Of the pictures, this share may be broken with `on_broken="skip"`, and at least this many.
BROKEN_SHARE, BROKEN = 0.1, 10
# Noun and defect of classes whose names differ only in case, blanks or signs.
KEPT_APART = "class", "with nearly the name of another kept apart"


@dataclasses.dataclass(frozen=True)
class Reading:
    """How a reader treats what it cannot mend.

    Args:
        missing_annotation: "refuse" a picture without an annotation, or take it as one without objects,
            "empty".
        on_broken: "stop" at a picture that cannot be decoded, or "skip" it.
        allow_outside: whether annotations may name pictures outside the picture folder.
        collected: `Collected` to fill with everything that is wrong, instead of stopping at the first; or
            None.

    Raises:
        ValueError: there is no such choice.
    """

    missing_annotation: str = "refuse"
    on_broken: str = "stop"
    allow_outside: bool = False
    collected: Collected | None = None

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


def assemble(
    pictures, class_names, check, reading, category_ids=None, source=None, listed=None, by_argument=False
):
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
        by_argument: whether the format of the boxes is an argument, for messages.

    Returns:
        DetectionDataset.

    Raises:
        FileNotFoundError: a picture is missing.
        ValueError: an annotation is ambiguous, or a picture cannot be decoded.
    """
    if class_names is None:
        class_names = sorted({name for picture in pictures for name in picture.names if not fault(name)})
    if reading.collected:
        reading.collected.pictures.update(str(picture.path) for picture in pictures)
    _note_likely_twins(class_names, check)
    labels = {name: label for label, name in enumerate(class_names)}
    inverted = any(_ends_early(box) for picture in pictures for box in picture.boxes)
    if inverted:
        # This ends even a check that collects faults: every box would be one.
        sized = [(picture, size) for picture in pictures if (size := _size(picture)) is not None]
        _check_format(sized, check.name, by_argument)
    for picture in pictures:
        _check_objects(picture, labels, listed, check)
    with check.part():
        in_pixels = [box for picture in pictures if not picture.relative for box in picture.boxes]
        box_formats.refuse_fractions(in_pixels, check.name, by_argument)
    records, sized = [], []
    for picture in _whole(pictures, reading, check):
        with check.part():
            records.append(_record(picture, labels, check, source))
            sized.append((picture, picture.size or (records[-1].height, records[-1].width)))
    with check.part():
        if not inverted:
            _check_format(sized, check.name, by_argument)
    check.report()
    source = source or Files([decodable(record.file) for record in records])
    return DetectionDataset(check.name, tuple(class_names), records, source, category_ids)


def _record(picture, labels, check, source):
    """The `Record` of a picture."""
    if len(picture.boxes) > MOST_OBJECTS:
        raise ValueError(
            f"{picture.source} has {len(picture.boxes)} objects, more than {MOST_OBJECTS} for one picture; "
            "cut the picture into tiles."
        )
    boxes = np.array(picture.boxes, np.float64).reshape(-1, 4)
    if source is None:
        height, width, boxes = upright_boxes(picture.path, picture.size, boxes, picture.source)
    else:
        height, width = picture.size
    if picture.relative:
        boxes = boxes * [width, height, width, height]
    elif max(height, width) > 1:
        box_formats.refuse_fractions_alone(boxes, picture.source)
    objects = [labels[name] for name in picture.names]
    known = (picture.image_id, picture.path, height, width)
    return check.record(*known, boxes, objects, picture.ignore, picture.area, source=picture.source)


def _check_objects(picture, labels, listed, check):
    """Refuse objects that cannot be meant so; those that are left out leave their picture."""
    kept = []
    for index, (name, box) in enumerate(zip(picture.names, picture.boxes, strict=True)):
        with check.part():
            _check_object(f"Object {index} of {picture.source}", name, box)
            if name not in labels:
                raise ValueError(
                    f"{picture.source} has the class {name}, which {listed or 'the list of classes'} lacks; "
                    "add it there."
                )
            kept.append(index)
    if len(kept) < len(picture.names):
        for values in (picture.names, picture.boxes, picture.ignore, picture.area or []):
            values[:] = [values[index] for index in kept if values]


def _check_object(place, name, box):
    if not name:
        raise ValueError(f"{place} has an empty class name; name its class.")
    if fault(name):
        raise ValueError(f"{place} has the class {name[:40]!r}, which {fault(name)}; rename it.")
    left, top, right, bottom = box
    if _ends_early(box):
        raise ValueError(
            f"{place} ends before it begins (x from {left:g} to {right:g}, y from {top:g} to {bottom:g}); "
            "swap its corners, add x and width if it has width and height, or remove it."
        )


def _ends_early(box):
    """Whether a box ends before it begins; one that is not finite is dropped later."""
    return all(map(math.isfinite, box)) and (box[2] < box[0] or box[3] < box[1])


def _check_format(sized, name, by_argument):
    """Refuse boxes in another format than theirs; `sized` has pairs of `Annotated` and height and width."""
    for kind in {(picture.written, picture.relative) for picture, _ in sized}:
        alike = [pair for pair in sized if (pair[0].written, pair[0].relative) == kind]
        sides = [(1, 1) if kind[1] else (width, height) for _, (height, width) in alike]
        boxes, sides = box_formats.joined([picture.boxes for picture, _ in alike], sides)
        box_formats.refuse_other_format(boxes, sides, kind[0], name, by_argument)


def _size(picture):
    """Height and width that the boxes of a picture refer to; None if its file cannot be read."""
    if picture.size or picture.relative:
        return picture.size or (1, 1)
    try:
        height, width, orientation = read_header(picture.path)
    except (ValueError, OSError):
        return None
    return (height, width) if orientation < 5 else (width, height)


def _note_likely_twins(class_names, check):
    """Note classes whose names differ only in case, blanks or signs."""
    first = {}
    for name in class_names:
        other = first.setdefault(plain(name), name)
        if other != name:
            check.note(*KEPT_APART, f"{other} and {name}")


def _whole(pictures, reading, check):
    """The pictures that can be decoded, if broken ones are to be skipped; otherwise all."""
    if reading.on_broken == "stop":
        return pictures
    with concurrent.futures.ThreadPoolExecutor() as pool:
        whole = list(pool.map(lambda picture: _decodes(picture.path), pictures))
    broken = [str(picture.path) for picture, fine in zip(pictures, whole) if not fine]
    note_broken(broken, len(pictures), check)
    return [picture for picture, fine in zip(pictures, whole) if fine]


def note_broken(broken, count, check):
    """Note pictures that cannot be decoded and are skipped.

    Args:
        broken: list of their names.
        count: number of all pictures.
        check: see `assemble`.

    Raises:
        ValueError: they are too many.
    """
    for name in broken:
        check.note("picture", "that cannot be decoded skipped", name)
    if len(broken) > max(BROKEN, BROKEN_SHARE * count) or len(broken) == count > 0:
        raise ValueError(
            f"{check.name} has {len(broken)} of {count} pictures that cannot be decoded, the first of them "
            f"{broken[0]}; that is more than can be skipped, so repair them."
        )


def _decodes(path):
    try:
        read_header(path)
        image_ops.read(path)
    except (ValueError, OSError):
        return False
    return True
