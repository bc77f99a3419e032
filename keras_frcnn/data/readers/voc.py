"""Folders with the layout of VOCdevkit: JPEGImages, Annotations, ImageSets/Main."""

import pathlib
import xml.etree.ElementTree as ElementTree
from typing import Any

import numpy as np

from keras_frcnn.data.dataset import DetectionDataset
from keras_frcnn.data.readers.upright import upright_boxes
from keras_frcnn.data.records import BoxCheck
from keras_frcnn.data.sources import Files

SUFFIXES = (".jpg", ".jpeg", ".png")


def parse(text, spec):
    """Read the set that TEXT of "voc:TEXT" names, or return None if it has another form."""
    # Split at the last @: a folder name may contain one, a split cannot.
    root, _, split = text.rpartition("@")
    return load(root, split, spec) if root and split else None


def load(root, split, name=None):
    """Read a VOC-like folder.

    Args:
        root: folder with JPEGImages, Annotations and ImageSets/Main. An optional `labels.txt` in it, one
            class per line, gives the classes and their order; by default, the sorted classes of all
            annotations.
        split: str, the name of a list in ImageSets/Main.
        name: str, name of the set in messages.

    Returns:
        DetectionDataset; `difficult` objects are marked `ignore`. Objects whose corners are equal in x or y
        count as annotation errors and are dropped with a warning, although VOC's convention makes them one
        pixel wide.

    Raises:
        FileNotFoundError: the folder, the split, an annotation or an image is missing.
        ValueError: an annotation cannot be read.
    """
    root = pathlib.Path(root)
    name = name or f"voc:{root}@{split}"
    for folder in (root, root / "JPEGImages", root / "Annotations", root / "ImageSets" / "Main"):
        if not folder.is_dir():
            raise FileNotFoundError(
                f"There is no folder {folder}; a VOC set needs JPEGImages, Annotations and ImageSets/Main."
            )
    ids = _ids(root, split)
    annotations = {}
    class_names = _class_names(root, annotations)
    labels = {name: label for label, name in enumerate(class_names)}
    pictures = {
        path.stem: path for path in sorted((root / "JPEGImages").iterdir()) if path.suffix.lower() in SUFFIXES
    }
    check = BoxCheck(name)
    records = []
    for image_id in ids:
        file = root / "Annotations" / f"{image_id}.xml"
        picture = pictures.get(image_id)
        if picture is None:
            raise FileNotFoundError(
                f"{root / 'JPEGImages'} has no image {image_id} (.jpg, .jpeg or .png), "
                f"which the split {split} lists; add the file or take the line out."
            )
        size, names, boxes, difficult = annotations.get(image_id) or read_annotation(file)
        unknown = [name for name in names if name not in labels]
        if unknown:
            raise ValueError(
                f"{file} has the class {unknown[0]}, which {root / 'labels.txt'} lacks; add it there."
            )
        height, width, boxes = upright_boxes(picture, size, boxes, file)
        objects = [labels[name] for name in names]
        records.append(check.record(image_id, picture, height, width, boxes, objects, difficult, source=file))
    check.report()
    return DetectionDataset(name, class_names, records, Files([record.file for record in records]))


def read_annotation(file):
    """Read one VOC XML file.

    Args:
        file: path.

    Returns:
        `(size, names, boxes, difficult)`: the stated (height, width) or None, M class names, float64 `[M, 4]`
        xyxy half-open boxes, M bools. A box whose corners are equal in x or y has no area.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is not a VOC annotation.
    """
    try:
        tree = ElementTree.parse(file).getroot()
    except FileNotFoundError:
        raise FileNotFoundError(
            f"There is no annotation {file}; add it or take its image out of the split."
        ) from None
    except ElementTree.ParseError as error:
        raise ValueError(f"{file} is not readable as XML ({error}); repair or remove it.") from None
    names, boxes, difficult = [], [], []
    # Read direct children only: the parts of a VOC person are nested objects outside the classes.
    for index, item in enumerate(tree.findall("object")):
        try:
            names.append(item.findtext("name").strip())
            sides: Any = [item.find("bndbox").findtext(key) for key in ("xmin", "ymin", "xmax", "ymax")]
            corners = [float(side) for side in sides]
            difficult.append(int(item.findtext("difficult") or 0) == 1)
        except (AttributeError, TypeError, ValueError):
            raise ValueError(
                f"Object {index} of {file} lacks a name or a bndbox of four numbers; repair or remove it."
            ) from None
        # Convert 1-based inclusive corners to 0-based half-open ones.
        shift = float(corners[0] < corners[2] and corners[1] < corners[3])
        boxes.append([corners[0] - shift, corners[1] - shift, corners[2], corners[3]])
    try:
        size = int(tree.findtext("size/height") or 0), int(tree.findtext("size/width") or 0)
    except ValueError:
        raise ValueError(f"The size in {file} is not a pair of whole numbers; repair it.") from None
    return size if all(size) else None, names, np.array(boxes, np.float64).reshape(-1, 4), difficult


def _ids(root, split):
    lists = root / "ImageSets" / "Main"
    file = lists / f"{split}.txt"
    if not file.is_file():
        splits = sorted(path.stem for path in lists.glob("*.txt"))
        raise FileNotFoundError(f"{root} has no split {split}; it has {', '.join(splits) or 'none'}.")
    ids = [line.split()[0] for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]
    if not ids:
        raise ValueError(f"{file} lists no image; write one image id a line.")
    return ids


def _class_names(root, annotations):
    """The classes of the whole folder; annotations read on the way are stored in `annotations`."""
    file = root / "labels.txt"
    if file.is_file():
        return read_labels(file)
    for path in sorted((root / "Annotations").glob("*.xml")):
        annotations[path.stem] = read_annotation(path)
    return tuple(sorted({name for _, names, _, _ in annotations.values() for name in names}))


def read_labels(file):
    """Read the class names in a `labels.txt`, one per line."""
    names = [line.strip() for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]
    if not names or len(set(names)) < len(names):
        raise ValueError(f"{file} must hold one class name a line, each once.")
    return tuple(names)
