"""Pictures and annotations in one folder, as labelImg leaves them and Roboflow's exports unzip."""

from keras_frcnn.data.readers import coco, yolo
from keras_frcnn.data.readers.assembly import STRICT, assemble
from keras_frcnn.data.readers.json_file import read_json
from keras_frcnn.data.readers.pictures import Pictures, expanded, is_dir, is_file, normal
from keras_frcnn.data.readers.voc import Annotations, annotated, read_labels
from keras_frcnn.data.records import BoxCheck
from keras_frcnn.names import remedy

SPLITS = ("train", "valid", "val", "test")
COCO = "_annotations.coco.json"
# Files of labelImg that name the classes of YOLO's numbers.
CLASSES = ("classes.txt", "labels.txt", "_darknet.labels", "obj.names")


def parse(text, spec, reading):
    """Read the set that TEXT of "folder:TEXT" names, or return None if it is empty."""
    if not text:
        return None
    if is_dir(expanded(text)) or "@" not in text:
        return load(text, None, spec, reading)
    root, _, split = text.rpartition("@")
    return load(root, split, spec, reading) if root and split else None


def load(root, split=None, name=None, reading=STRICT):
    """Read a folder of pictures with VOC XML, YOLO text files or one COCO JSON among them.

    Args:
        root: path.
        split: str, a folder in it such as "train"; None for the folder itself.
        name: str, name of the set in messages.
        reading: `Reading`.

    Returns:
        DetectionDataset; with VOC XML its classes are those of `labels.txt`, or else those of all splits.

    Raises:
        FileNotFoundError: a folder or picture is missing, or there is no annotation.
        ValueError: an annotation cannot be read.
    """
    root = expanded(root)
    check = BoxCheck(name or f"folder:{root}" + (f"@{split}" if split else ""), reading.collected)
    splits = [place for place in SPLITS if is_dir(root / place)]
    folder = root / split if split else root
    if not is_dir(folder):
        listed = f"it has {', '.join(splits)}." if splits and is_dir(root) else "check the path."
        raise FileNotFoundError(f"There is no folder {folder}; {remedy(split or '', splits, listed)}")
    if not split and splits:
        raise ValueError(
            f"{root} has the folders {', '.join(splits)}; name one, such as folder:{root}@{splits[0]}."
        )
    if is_file(folder / COCO):
        return coco.from_content(read_json(folder / COCO), folder / COCO, folder, check, reading)
    annotations = Annotations(folder, check)
    if annotations.files:
        return _voc(root, folder, splits if split else [], annotations, check, reading)
    names = next((root / place for place in CLASSES if is_file(root / place)), None)
    names = names or next((folder / place for place in CLASSES if is_file(folder / place)), None)
    if names is None:
        described = next((file for file in (root / "data.yaml", folder / "data.yaml") if is_file(file)), None)
        wanted = f"name yolo:{described}@{split or 'train'}" if described else "add one of these"
        raise FileNotFoundError(
            f"{folder} has neither VOC XML nor {COCO}, and no {CLASSES[0]} with the class names of YOLO's "
            f"text files; {wanted}."
        )
    class_names = read_labels(names)
    pictures = yolo.pictures_of(Pictures(folder).files, class_names, check)
    return assemble(pictures, class_names, check, reading)


def _voc(root, folder, splits, annotations, check, reading):
    """The set of a folder with an XML file for each picture."""
    listed = next((place / "labels.txt" for place in (root, folder) if is_file(place / "labels.txt")), None)
    names = set() if listed else annotations.class_names()
    for place in () if listed else splits:
        if root / place != folder:
            names |= Annotations(root / place, check).class_names()
    files = Pictures(folder)
    identities = {path: path.relative_to(folder).with_suffix("").as_posix() for path in files.files}
    by_name = {identity: annotations.file_of(identity) for identity in identities.values()}
    named, alone = {}, set(annotations.files) - set(by_name.values())
    bare = {}
    for path, identity in identities.items():
        if not is_file(by_name[identity]):
            bare.setdefault(normal(path.stem), []).append(path)
    for file in sorted(alone):
        with check.part():
            name = annotations.read(file).filename
            path = _across(file, bare)
            if path is None:
                path = files.find(name, str(file))[0] if name else None
                if path not in identities or is_file(by_name[identities[path]]):
                    check.note("annotation", "without a picture left out", str(file))
                    continue
                check.note("picture", "found by another form of its name", str(file))
            if path in named:
                raise ValueError(f"{named[path]} and {file} are both of the picture {path}; remove one.")
            named[path] = file
    pictures = []
    for path, identity in identities.items():
        with check.part():
            file = named.get(path, by_name[identity])
            pictures.append(annotated(path, identity, file, annotations, reading, check))
    class_names = read_labels(listed) if listed else tuple(sorted(names))
    return assemble(pictures, class_names, check, reading, listed=listed)


def _across(file, bare):
    """The picture of an annotation in another folder, such as `images/a.jpg` for `annotations/a.xml`.

    Args:
        file: the annotation.
        bare: dict from stem to the pictures that have none.

    Returns:
        The path, or None if there is none; of several, the one whose path differs in one folder.
    """
    found = bare.get(normal(file.stem), [])
    if len(found) > 1:
        found = [
            path
            for path in found
            if sum(one != other for one, other in zip(path.parent.parts, file.parent.parts)) == 1
            and len(path.parts) == len(file.parts)
        ]
    return found[0] if len(found) == 1 else None
