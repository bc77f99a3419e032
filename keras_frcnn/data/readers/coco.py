"""COCO instance annotations: one JSON file and a folder of images."""

import math

from keras_frcnn.data.readers import scalars
from keras_frcnn.data.readers.assembly import STRICT, Annotated, assemble
from keras_frcnn.data.readers.json_file import read_json
from keras_frcnn.data.readers.pictures import Pictures, expanded, is_dir, is_file, leaves
from keras_frcnn.data.records import BoxCheck


def parse(text, spec, reading):
    """Read the set that TEXT of "coco:TEXT" names, or return None if it has another form."""
    # Look for ".json@" first: the name of the image folder may contain an @ too.
    instances, json, folder = text.partition(".json@")
    if not json:
        instances, _, folder = text.rpartition("@")
    return load(instances + json[:-1], folder, spec, reading) if instances and folder else None


def load(instances, folder, name=None, reading=STRICT):
    """Read COCO instances.

    Args:
        instances: JSON file with `images`, `annotations` and `categories`. The classes are its categories in
            the order of their ids, whether or not they occur; the ids may have gaps.
        folder: folder with the `file_name` of each image.
        name: str, name of the set in messages.
        reading: `Reading`.

    Returns:
        DetectionDataset; `iscrowd` regions are marked `ignore`, images without annotations are kept.

    Raises:
        FileNotFoundError: the file, the folder or an image is missing.
        ValueError: the file is not COCO JSON, or what it says has two meanings.
    """
    instances, folder = expanded(instances), expanded(folder)
    check = BoxCheck(name or f"coco:{instances}@{folder}", reading.collected)
    content = read_json(instances)
    if not is_dir(folder):
        raise FileNotFoundError(
            f"There is no image folder {folder}; give the one that {instances} describes."
        )
    return from_content(content, instances, folder, check, reading)


def from_content(content, instances, folder, check, reading):
    """Make the data set of a JSON file that is read already; for the arguments see `load` and `assemble`."""
    categories = _by_id(content, "categories", instances, check)
    if _only_groups(categories, content, instances):
        check.note(
            "category", "that only groups the others left out", f"{categories.pop(0)['name']} in {instances}"
        )
    names = {}
    for number, category in categories.items():
        with check.part():
            names[number] = _name(category, number, instances)
    class_names = tuple(dict.fromkeys(names[number] for number in sorted(names, key=_numbers_first)))
    images = _by_id(content, "images", instances, check)
    files = Pictures(folder)
    pictures = {}
    for number, image in images.items():
        with check.part():
            pictures[number] = _picture(image, number, folder, files, instances, reading, check)
    seen = {}
    for index, annotation in enumerate(_list(content, "annotations", instances)):
        identity = f"at place {index}" if annotation.get("id") is None else annotation["id"]
        place = f"Annotation {identity} in {instances}"
        first = seen.setdefault(str(identity), annotation)
        with check.part():
            if first is not annotation:
                if first != annotation:
                    raise ValueError(f"{place} has the id of another annotation; give each an id of its own.")
                check.note("annotation", "written twice left out", place)
                continue
            image = _reference(annotation, "image", images, "images", place)
            category = _reference(annotation, "category", categories, "categories", place)
            if image in pictures and category in names:  # otherwise these are refused already
                _add(pictures[image], names[category], annotation, place, check)
    ids = {names[number]: number for number in sorted(names, key=_numbers_first, reverse=True)}
    whole = {name: number for name, number in ids.items() if isinstance(number, int)}
    found = _once(pictures.values(), instances, check)
    return assemble(found, class_names, check, reading, whole if len(whole) == len(ids) else None)


def _list(content, group, instances):
    """The dicts of a group."""
    entries = content.get(group) if isinstance(content, dict) else None
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise ValueError(f'{instances} is no COCO instances file (missing or unknown: "{group}"); repair it.')
    return entries


def _by_id(content, group, instances, check):
    """The entries of a group by their ids."""
    found = {}
    for index, entry in enumerate(_list(content, group, instances)):
        with check.part():
            try:
                number = scalars.identifier(entry.get("id"))
            except ValueError as error:
                raise ValueError(
                    f'Entry {index} of "{group}" in {instances} has an `id` that is wrong: {error}.'
                ) from None
            if number in found and found[number] == entry:
                check.note("entry", f"of {group} written twice left out", f"id {number} in {instances}")
            elif number in found:
                raise ValueError(
                    f'Two of "{group}" in {instances} have the id {number}; give each an id of its own.'
                )
            found[number] = entry
    return found


def _only_groups(categories, content, instances):
    """Whether category 0 is the project, as Roboflow lists it: above the others, without an object."""
    first = categories.get(0, {})
    others = [entry for number, entry in categories.items() if number != 0]
    return (
        bool(others)
        and str(first.get("supercategory")) == "none"
        and all(entry.get("supercategory") == first.get("name") for entry in others)
        and not any(
            str(entry.get("category_id")) == "0" for entry in _list(content, "annotations", instances)
        )
    )


def _numbers_first(number):
    return (isinstance(number, str), number)


def _name(category, number, instances):
    try:
        name = scalars.class_name(category.get("name"))
    except ValueError as error:
        raise ValueError(f"Category {number} in {instances} has a name that is wrong: {error}.") from None
    if not name:
        raise ValueError(f"Category {number} in {instances} has no name; name it.")
    return name


def _reference(annotation, kind, known, group, place):
    if f"{kind}_id" not in annotation:
        raise ValueError(f"{place} has no `{kind}_id`; add it, or take the annotation out.")
    try:
        number = scalars.identifier(annotation[f"{kind}_id"])
    except ValueError as error:
        raise ValueError(f"{place} has a `{kind}_id` that is wrong: {error}.") from None
    if number not in known:
        raise ValueError(
            f'{place} names {kind} {number}, which its "{group}" do not list; add that {kind}, or take the '
            "annotation out."
        )
    return number


def _picture(image, number, folder, files, instances, reading, check):
    """The `Annotated` of an image, without its objects."""
    place = f"image {number} in {instances}"
    name = image.get("file_name")
    if not isinstance(name, str) or not name.strip():
        raise ValueError(f"Image {number} in {instances} has no `file_name`; add it.")
    if reading.allow_outside and leaves(name) and is_file(folder / name):
        path, mended = folder / name, False
    elif leaves(name) and not reading.allow_outside:
        raise ValueError(
            f"Image {number} in {instances} has the `file_name` {name[:80]!r}, which leads out of {folder}; "
            "write it relative to that folder, or allow it with --allow-outside."
        )
    else:
        path, _ = files.find(name, place)
        mended = path != folder / name
    if path is None or not is_file(path):
        raise FileNotFoundError(
            f"There is no image {str(folder / name[:200])!r}, which {instances} lists; add it or take its "
            "entry out."
        )
    if mended:
        check.note("picture", "found by another form of its name", f"{name} in {instances}")
    try:
        size = scalars.side(image.get("height")), scalars.side(image.get("width"))
    except ValueError as error:
        raise ValueError(
            f"Image {number} in {instances} has a `width` or `height` that is wrong: {error}."
        ) from None
    return Annotated(path, number, place, area=[], size=size if all(size) else None, written="xywh")


def _add(picture, name, annotation, place, check):
    """Add an object to its picture."""
    try:
        x, y, width, height = scalars.numbers(annotation.get("bbox"), 4)
    except ValueError as error:
        raise ValueError(
            f"{place} has a `bbox` that is not four numbers ({error}); write [x, y, width, height], or take "
            "the annotation out."
        ) from None
    try:
        crowd = scalars.flag(annotation.get("iscrowd"))
    except ValueError as error:
        raise ValueError(f"{place} has an `iscrowd` that is wrong: {error}.") from None
    area = annotation.get("area")
    try:
        area = scalars.number(area)
    except ValueError:
        area = math.nan
    if not area > 0:
        if "area" in annotation:
            check.note("area", "other than a number above 0 replaced with that of the box", place)
        area = math.nan
    picture.names.append(name)
    picture.boxes.append([x, y, x + width, y + height])
    picture.ignore.append(crowd)
    picture.area.append(area)


def _once(pictures, instances, check):
    """The pictures, each file once; a second entry without objects or with the same objects is left out."""
    found = {}
    for picture in pictures:
        first = found.setdefault(picture.path, picture)
        if first is picture:
            continue
        with check.part():
            if picture.names and (picture.names, picture.boxes) != (first.names, first.boxes):
                raise ValueError(
                    f"Images {first.image_id} and {picture.image_id} in {instances} are one file, "
                    f"{picture.path}, with different objects; make them one image."
                )
            again = f"image {picture.image_id} in {instances}"
            check.note("image", "listing a picture again left out", again)
    return list(found.values())
