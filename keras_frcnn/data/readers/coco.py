"""COCO instance annotations: one JSON file and a folder of images."""

import json
import pathlib

import numpy as np

from keras_frcnn.data.dataset import DetectionDataset
from keras_frcnn.data.readers.upright import upright_boxes
from keras_frcnn.data.records import BoxCheck
from keras_frcnn.data.sources import Files


def parse(text, spec):
    """Read the set that TEXT of "coco:TEXT" names, or return None if it has another form."""
    # Look for ".json@" first: the name of the image folder may contain an @ too.
    instances, json, folder = text.partition(".json@")
    if not json:
        instances, _, folder = text.rpartition("@")
    return load(instances + json[:-1], folder, spec) if instances and folder else None


def load(instances, folder, name=None):
    """Read COCO instances.

    Args:
        instances: JSON file with `images`, `annotations` and `categories`. The classes are its categories in
            the order of their ids, whether or not they occur; the ids may have gaps.
        folder: folder with the `file_name` of each image.
        name: str, name of the set in messages.

    Returns:
        DetectionDataset; `iscrowd` regions are marked `ignore`, images without annotations are kept.

    Raises:
        FileNotFoundError: the file, the folder or an image is missing.
        ValueError: the file is not COCO JSON.
    """
    folder = pathlib.Path(folder)
    name = name or f"coco:{instances}@{folder}"
    content = _read(instances)
    if not folder.is_dir():
        raise FileNotFoundError(
            f"There is no image folder {folder}; give the one that {instances} describes."
        )
    check = BoxCheck(name)
    records = []
    try:
        categories = sorted(content["categories"], key=lambda category: category["id"])
        names = tuple(dict.fromkeys(category["name"] for category in categories))
        labels = {category["id"]: names.index(category["name"]) for category in categories}
        objects = {image["id"]: [] for image in content["images"]}
        for annotation in content["annotations"]:
            _check_reference(annotation, "image", objects, "images", instances)
            _check_reference(annotation, "category", labels, "categories", instances)
            objects[annotation["image_id"]].append(annotation)
        for image in content["images"]:
            records.append(_record(image, objects[image["id"]], labels, folder, instances, check))
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(
            f"{instances} is no COCO instances file (missing or unknown: {error}); repair it."
        ) from None
    check.report()
    ids = {name: next(c["id"] for c in categories if c["name"] == name) for name in names}
    return DetectionDataset(name, names, records, Files([record.file for record in records]), ids)


def _read(instances):
    try:
        with open(instances, encoding="utf-8") as file:
            return json.load(file)
    except FileNotFoundError:
        raise FileNotFoundError(f"There is no annotation file {instances}; check the path.") from None
    except ValueError as error:
        raise ValueError(f"{instances} is not readable as JSON ({error}); repair it.") from None


def _check_reference(annotation, kind, known, group, instances):
    number = annotation[f"{kind}_id"]
    if number not in known:
        raise ValueError(
            f"Annotation {annotation.get('id', 'without id')} in {instances} names {kind} {number}, which "
            f'its "{group}" do not list; add that {kind}, or take the annotation out.'
        )


def _record(image, objects, labels, folder, instances, check):
    path = folder / image["file_name"]
    if not path.is_file():
        raise FileNotFoundError(
            f"There is no image {path}, which {instances} lists; add it or take its entry out."
        )
    try:
        corners = np.array([item["bbox"] for item in objects], np.float64).reshape(len(objects), 4)
    except ValueError:
        raise ValueError(
            f"Image {image['id']} in {instances} has a bbox that is not four numbers; repair or remove it."
        ) from None
    area = [item.get("area", item["bbox"][2] * item["bbox"][3]) for item in objects]
    corners[:, 2:] += corners[:, :2]
    stated = (image["height"], image["width"]) if image.get("height") and image.get("width") else None
    height, width, corners = upright_boxes(path, stated, corners, f"image {image['id']} in {instances}")
    classes = [labels[item["category_id"]] for item in objects]
    crowd = [bool(item.get("iscrowd", 0)) for item in objects]
    return check.record(image["id"], path, height, width, corners, classes, crowd, area)
