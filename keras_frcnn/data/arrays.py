"""A data set from arrays, files and boxes that a program has at hand.

Letters: H height, W width, M objects of an image.
"""

import unicodedata
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from keras_frcnn.class_names import in_order
from keras_frcnn.data.dataset import DetectionDataset
from keras_frcnn.data.readers import box_formats, scalars
from keras_frcnn.data.readers.assembly import STRICT, Annotated, assemble
from keras_frcnn.data.readers.pictures import expanded, is_file
from keras_frcnn.data.records import BoxCheck, counted
from keras_frcnn.data.sources import Drawn

# For each format of boxes: where its four numbers are, as a function to xyxy, and whether they are fractions.
FORMATS = {
    "xyxy": (box_formats.FORMATS["xyxy"][1], False),
    "yxyx": (lambda a, b, c, d: (b, a, d, c), False),
    "xywh": (box_formats.FORMATS["xywh"][1], False),
    "cxcywh": (box_formats.FORMATS["cxcywh"][1], False),
    "rel_xyxy": (box_formats.FORMATS["xyxy"][1], True),
}


def from_arrays(
    images: Any,
    boxes: Sequence | None = None,
    labels: Sequence | None = None,
    class_names: Sequence[str] | None = None,
    box_format: str = "xyxy",
    ignore: Sequence | None = None,
) -> DetectionDataset:
    """Make a data set from images and boxes.

    Args:
        images: list of arrays `[H, W, 3]` RGB 0-255, one array of them, or list of files; or a
            `tf.data.Dataset` of dicts `{"images", "bounding_boxes": {"boxes", "labels"}}` as KerasHub has
            them ("classes" for "labels" too; single images or batches, padded with -1), which is read into
            memory.
        boxes: for each image its boxes `[M, 4]`; not with a `tf.data.Dataset`.
        labels: for each image M labels, numbers from 0 or names.
        class_names: names of the classes, in the order of the labels; by default, with names as labels, these
            in alphabetical order.
        box_format: "xyxy", "yxyx", "xywh" (corner and size), "cxcywh" (center and size), in pixels,
            half-open; or "rel_xyxy", fractions of the image.
        ignore: for each image M bools, whether an object is neither rewarded nor punished.

    Returns:
        DetectionDataset.

    Raises:
        FileNotFoundError: a file is missing.
        ValueError: the lists have different lengths, or a value has another form.

    Example:
        >>> image, box = np.zeros([60, 80, 3], np.uint8), [10, 20, 30, 50]
        >>> dataset = keras_frcnn.data.from_arrays([image], [[box]], [["cat"]])
        >>> dataset.records[0].boxes.tolist(), dataset.class_names
        ([[10.0, 20.0, 30.0, 50.0]], ('cat',))
    """
    if not isinstance(box_format, str) or box_format not in FORMATS:
        raise ValueError(f"box_format is {box_format!r}; use {' or '.join(map(repr, FORMATS))}.")
    if isinstance(images, tf.data.Dataset):
        if boxes is not None or labels is not None or ignore is not None:
            raise ValueError("A tf.data.Dataset brings its boxes and labels; leave these arguments out.")
        if class_names is None:
            raise ValueError("A tf.data.Dataset knows no class names; give class_names.")
        images, boxes, labels = _read(images)
    listed = hasattr(images, "__len__") or isinstance(images, tf.RaggedTensor)
    if not listed or isinstance(images, Mapping):
        raise ValueError(f"images is a {type(images).__name__}; give a list, an array or a tf.data.Dataset.")
    if boxes is None or labels is None:
        raise ValueError("Images need boxes and labels; give a list of each, an empty one for no objects.")
    images, boxes, labels = _listed("images", images), _listed("boxes", boxes), _listed("labels", labels)
    if not images:
        raise ValueError("There are no images; give one or more.")
    ignore = None if ignore is None else _listed("ignore", ignore)
    given = {"boxes": boxes, "labels": labels, "ignore": ignore}
    for name, values in given.items():
        if values is not None and len(values) != len(images):
            raise ValueError(
                f"There are {len(images)} images and {len(values)} entries of {name}; give one for each."
            )
    names = _class_names(labels, class_names)
    if not names:
        raise ValueError("There is no class; give class_names.")
    files = all(isinstance(image, (str, Path)) for image in images)
    pixels = [] if files else [_pixels(image, index) for index, image in enumerate(images)]
    check = BoxCheck("from_arrays")
    pictures = []
    stems = [Path(image).stem for image in images] if files else []
    alone = len({*stems}) == len(stems)
    for index in range(len(images)):
        place = str(images[index]) if files else f"image {index}"
        if files and not is_file(expanded(images[index])):
            raise FileNotFoundError(f"There is no image file {place}; check the path.")
        path = expanded(images[index]) if files else Path(place)
        corners = _corners(boxes[index], box_format, place)
        objects = [_name(label, names, place) for label in _flat(labels[index], "labels", place)]
        ignored = [False] * len(corners) if ignore is None else _flags(ignore[index], place)
        if not len(corners) == len(objects) == len(ignored):
            counts = [counted(len(corners), "box"), counted(len(objects), "label")]
            if ignore is not None:
                counts.append(f"{len(ignored)} of ignore")
            raise ValueError(
                f"{place} has {', '.join(counts[:-1])} and {counts[-1]}; give one of each for each object."
            )
        identity = (stems[index] if alone else str(images[index])) if files else index
        picture = Annotated(path, identity, place, objects, corners.tolist(), ignored)
        picture.size = None if files else pixels[index].shape[:2]
        picture.relative = FORMATS[box_format][1]
        picture.written = box_format if box_format in box_formats.FORMATS else "xyxy"
        pictures.append(picture)
    by_argument = box_format in box_formats.FORMATS
    if files:
        return assemble(_once(pictures, check), names, check, STRICT, by_argument=by_argument)
    source = Drawn(pixels.__getitem__, len(pixels), keeps=True)
    return assemble(pictures, names, check, STRICT, source=source, by_argument=by_argument)


def _listed(name, values):
    """The entries of an argument, one for each image."""
    if isinstance(values, tf.RaggedTensor):
        return _ragged_rows(values)
    if isinstance(values, (Mapping, str, bytes)) or not hasattr(values, "__iter__"):
        raise ValueError(f"{name} is a {type(values).__name__}; give a list with an entry for each image.")
    return [*values]


def _ragged_rows(values):
    """The rows of a RaggedTensor; those that are ragged themselves one by one, the others all at once."""
    if values.ragged_rank > 1:
        return [values[row].to_tensor().numpy() for row in range(int(values.nrows()))]
    return np.split(values.values.numpy(), values.row_splits.numpy()[1:-1]) if values.nrows() else []


def _flat(values, name, place):
    """The values of an image as a flat list."""
    try:
        return np.asarray(values).reshape(-1).tolist()
    except ValueError:
        raise ValueError(f"{place} has {name} that are no flat list; give one for each object.") from None


def _flags(values, place):
    try:
        return [scalars.flag(value) for value in _flat(values, "ignore", place)]
    except ValueError as error:
        raise ValueError(
            f"{place} has an entry of ignore that is wrong: {error}; give True or False."
        ) from None


def _once(pictures, check):
    """The pictures, each file once; one that comes again with the same objects is left out."""
    found = {}
    for picture in pictures:
        first = found.setdefault(picture.path.resolve(), picture)
        if first is picture:
            continue
        if (picture.names, picture.boxes, picture.ignore) != (first.names, first.boxes, first.ignore):
            raise ValueError(
                f"{picture.path} comes twice with different objects; give it once, with all of them."
            )
        check.note("picture", "given again left out", str(picture.path))
    return list(found.values())


def _read(data):
    """Read a `tf.data.Dataset` of dicts into lists of images, boxes and labels."""
    if data.cardinality() == tf.data.INFINITE_CARDINALITY:
        raise ValueError("The tf.data.Dataset has no end; leave out its `repeat`, or `take` some of it.")
    images, boxes, labels = [], [], []
    for element in data:
        targets = element.get("bounding_boxes") if isinstance(element, dict) else None
        if not isinstance(targets, dict) or "images" not in element or "boxes" not in targets:
            raise ValueError(
                'The elements of a tf.data.Dataset are dicts {"images": [H, W, 3], "bounding_boxes": '
                '{"boxes": [M, 4], "labels": [M]}}; map yours to these.'
            )
        numbers = targets.get("labels", targets.get("classes"))
        if numbers is None:
            raise ValueError('The "bounding_boxes" have neither "labels" nor "classes"; add the labels.')
        batch = {"images": element["images"], "boxes": targets["boxes"], "labels": numbers}
        for one, corners, label in _rows(batch, len(images)):
            if label.ndim != 1 or corners.shape != (len(label), 4):
                raise ValueError(
                    f"Image {len(images)} of the tf.data.Dataset has boxes {list(corners.shape)} and labels "
                    f"{list(label.shape)}; give boxes [M, 4] and M labels, numbers or names."
                )
            counts = label >= 0 if label.dtype.kind in "iuf" else np.ones(len(label), bool)
            images.append(one)
            boxes.append(corners[counts])
            labels.append(label[counts])
    return images, boxes, labels


def _rows(batch, first):
    """The images of a dict, each with its boxes and labels; `first` is the number of the first one."""
    loose = [name for name, part in batch.items() if not hasattr(part, "shape")]
    if loose:
        raise ValueError(
            f"The tf.data.Dataset has a {type(batch[loose[0]]).__name__} of tensors for {loose[0]}; give one "
            "tensor, ragged where the rows differ."
        )
    if batch["images"].shape.rank != 4:
        return [[part.numpy() for part in batch.values()]]
    rows = {name: _listed(name, part) if part.shape.rank else [] for name, part in batch.items()}
    if len({*map(len, rows.values())}) > 1:
        counts = ", ".join(f"{len(values)} {name}" for name, values in rows.items())
        raise ValueError(
            f"The batch of the tf.data.Dataset from image {first} on has {counts}; give "
            "boxes [B, M, 4] and labels [B, M] for images [B, H, W, 3]."
        )
    return [[np.asarray(part) for part in row] for row in zip(*rows.values())]


def _pixels(image, index):
    """An image as uint8 `[H, W, 3]`."""
    image = np.asarray(image)
    if image.ndim != 3 or image.shape[-1] != 3 or image.size == 0 or image.dtype.kind not in "uif":
        raise ValueError(
            f"Image {index} has the shape {image.shape} and the dtype {image.dtype}; give RGB [H, W, 3], 0 "
            "to 255."
        )
    if image.dtype == np.uint8:
        return image
    low, high = float(image.min()), float(image.max())
    if not 0 <= low <= high <= 255 or (image.dtype.kind == "f" and 0 < high <= 1):
        raise ValueError(
            f"Image {index} has pixels from {low:g} to {high:g}; give 0 to 255 (fractions times 255, 16 bits "
            "divided by 257)."
        )
    return np.round(image).astype(np.uint8)


def _corners(boxes, box_format, place):
    """Boxes as float64 `[M, 4]` xyxy, in pixels or fractions."""
    try:
        boxes = np.asarray(boxes, np.float64)
    except (TypeError, ValueError, OverflowError):
        raise ValueError(
            f"{place} has boxes that are not four numbers each; give [M, 4], {box_format}."
        ) from None
    if boxes.size == 0:
        return np.zeros([0, 4])
    if boxes.ndim != 2 or boxes.shape[1] != 4:
        raise ValueError(f"{place} has boxes of the shape {boxes.shape}; give [M, 4], {box_format}.")
    to_xyxy, fractions = FORMATS[box_format]
    with np.errstate(over="ignore", invalid="ignore"):
        corners = np.stack(to_xyxy(*boxes.T), axis=-1)
    beyond = corners[corners > 2.0]
    if fractions and len(beyond):
        raise ValueError(
            f"{place} has a box at {beyond.max():g}, which is no fraction; use another box_format."
        )
    return corners


def _class_names(labels, class_names):
    """The class names; those among the labels if none are given."""
    if class_names is not None:
        names = in_order([class_names] if isinstance(class_names, str) else class_names)
        if len(set(names)) < len(names):
            raise ValueError(f"class_names {', '.join(names)} has a name twice; give each once.")
        return names
    found = {_text(label, "labels") for one in labels for label in _flat(one, "labels", "An image")}
    if not all(isinstance(label, str) for label in found):
        raise ValueError("The labels are numbers; give class_names, in their order.")
    return tuple(sorted(found))


def _name(label, names, place):
    """The class name of a label."""
    label = _text(label, place)
    if isinstance(label, str):
        if label not in names:
            raise ValueError(f"{place} has the class {label}, which class_names lacks; add it there.")
        return label
    if not isinstance(label, (int, float)) or label not in range(len(names)):
        raise ValueError(f"{place} has the label {label}; there are the labels 0 to {len(names) - 1}.")
    return names[int(label)]


def _text(label, place):
    """A label that is a text, in composed letters; a number as it is."""
    try:
        label = label.decode() if isinstance(label, bytes) else label
    except UnicodeDecodeError:
        raise ValueError(f"{place} has the label {label!r}, which is not UTF-8; give a text.") from None
    return unicodedata.normalize("NFC", label) if isinstance(label, str) else label
