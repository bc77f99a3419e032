"""Pictures and annotations in one folder, as labelImg leaves them and Roboflow's exports unzip."""

import pathlib

from keras_frcnn.data.readers import coco, yolo
from keras_frcnn.data.readers.assembly import STRICT, Annotated, assemble
from keras_frcnn.data.readers.json_file import read_json
from keras_frcnn.data.readers.pictures import Pictures, is_dir, is_file
from keras_frcnn.data.readers.voc import Annotations, annotated, read_labels
from keras_frcnn.data.records import BoxCheck

SPLITS = ("train", "valid", "val", "test")
COCO = "_annotations.coco.json"
# Files of labelImg that name the classes of YOLO's numbers.
CLASSES = ("classes.txt", "labels.txt", "_darknet.labels", "obj.names")


def parse(text, spec, reading):
    """Read the set that TEXT of "folder:TEXT" names, or return None if it is empty."""
    if not text:
        return None
    if is_dir(pathlib.Path(text).expanduser()) or "@" not in text:
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
        DetectionDataset; its classes are those of all splits.

    Raises:
        FileNotFoundError: a folder or picture is missing, or there is no annotation.
        ValueError: an annotation cannot be read.
    """
    root = pathlib.Path(root).expanduser()
    check = BoxCheck(name or f"folder:{root}" + (f"@{split}" if split else ""))
    splits = [place for place in SPLITS if is_dir(root / place)]
    folder = root / split if split else root
    if not is_dir(folder):
        wanted = f"; it has {', '.join(splits)}" if splits and is_dir(root) else "; check the path"
        raise FileNotFoundError(f"There is no folder {folder}{wanted}.")
    if not split and splits:
        raise ValueError(
            f"{root} has the folders {', '.join(splits)}; name one, such as folder:{root}@{splits[0]}."
        )
    if is_file(folder / COCO):
        return coco.from_content(read_json(folder / COCO), folder / COCO, folder, check, reading)
    annotations = Annotations(folder)
    if annotations.files:
        return _voc(root, folder, splits if split else [], annotations, check, reading)
    names = next((root / place for place in CLASSES if is_file(root / place)), None)
    names = names or next((folder / place for place in CLASSES if is_file(folder / place)), None)
    if names is None:
        raise FileNotFoundError(
            f"{folder} has neither VOC XML nor {COCO}, and no {CLASSES[0]} with the class names of YOLO's "
            "text files; add one of these."
        )
    class_names = read_labels(names)
    pictures = [
        yolo.picture(path, yolo.labels_of(path), class_names, check) for path in Pictures(folder).files
    ]
    return assemble(pictures, class_names, check, reading)


def _voc(root, folder, splits, annotations, check, reading):
    """The set of a folder with an XML file for each picture."""
    names = {name for file in annotations.files for name in annotations.read(file).names}
    for place in splits:
        if root / place != folder:
            others = Annotations(root / place)
            names |= {name for file in others.files for name in others.read(file).names}
    pictures, used = [], set()
    files = Pictures(folder)
    for path in files.files:
        identity = path.relative_to(folder).with_suffix("").as_posix()
        file = annotations.file_of(identity)
        used.add(file)
        pictures.append(annotated(path, identity, file, annotations, reading, check))
    for file in annotations.files:
        if file in used:
            continue
        path = (
            files.find(annotations.read(file).filename, str(file))[0]
            if annotations.read(file).filename
            else None
        )
        if path is None or any(picture.path == path for picture in pictures):
            check.note("annotation", "without a picture left out", str(file))
            continue
        check.note("picture", "found by another form of its name", str(file))
        xml = annotations.read(file)
        pictures.append(
            Annotated(path, file.stem, str(file), xml.names, xml.boxes, xml.difficult, size=xml.size)
        )
    return assemble(pictures, tuple(sorted(names)), check, reading)
