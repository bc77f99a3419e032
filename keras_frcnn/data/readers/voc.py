"""Folders with the layout of VOCdevkit: JPEGImages, Annotations, ImageSets/Main."""

from keras_frcnn.data.readers import scalars, voc_xml
from keras_frcnn.data.readers.assembly import STRICT, Annotated, assemble, without_annotation
from keras_frcnn.data.readers.pictures import (
    Pictures,
    expanded,
    is_blank,
    is_dir,
    is_file,
    leaves,
    normal,
    stem,
    undoubled,
)
from keras_frcnn.data.records import BoxCheck
from keras_frcnn.files import read_text
from keras_frcnn.names import remedy

FLAGS = ("1", "0", "-1")
USUAL_SPLITS = ("trainval", "train", "val", "test")


def parse(text, spec, reading):
    """Read the set that TEXT of "voc:TEXT" names, or return None if it has another form."""
    # Split at the last @: a folder name may contain one, a split cannot.
    root, _, split = text.rpartition("@")
    if not (root and split and is_dir(expanded(root))):
        splits = _splits(expanded(text))
        # A VOCdevkit has lists of its classes too.
        refuse_without_split(spec, [name for name in USUAL_SPLITS if name in splits] or splits)
    return load(root, split, spec, reading) if root and split else None


def refuse_without_split(spec, splits):
    """Raise a readable error if a set has splits, of which its name names none."""
    if splits:
        raise ValueError(f"{spec} names no split; it has {', '.join(splits)}: write {spec}@{splits[0]}.")


def load(root, split, name=None, reading=STRICT):
    """Read a VOC-like folder.

    Args:
        root: folder with JPEGImages, Annotations and ImageSets/Main. An optional `labels.txt` in it, one
            class per line, gives the classes and their order; by default, the sorted classes of all
            annotations and of CVAT's `labelmap.txt`.
        split: str, the name of a list in ImageSets/Main.
        name: str, name of the set in messages.
        reading: `Reading`.

    Returns:
        DetectionDataset; `difficult` objects are marked `ignore`. Objects whose corners are equal in x or y
        count as annotation errors and are dropped with a warning, although VOC's convention makes them one
        pixel wide.

    Raises:
        FileNotFoundError: the folder, the split, an annotation or an image is missing.
        ValueError: an annotation cannot be read.
    """
    root = expanded(root)
    check = BoxCheck(name or f"voc:{root}@{split}", reading.collected)
    for folder in (root, root / "JPEGImages", root / "Annotations", root / "ImageSets" / "Main"):
        if not is_dir(folder):
            raise FileNotFoundError(
                f"There is no folder {folder}; a VOC set needs JPEGImages, Annotations and ImageSets/Main. "
                "Pictures and annotations in one folder are folder:ROOT."
            )
    pictures = Pictures(root / "JPEGImages")
    lines = _lines(root, split, pictures, check)
    annotations = Annotations(root / "Annotations", check)
    class_names = _class_names(root, annotations)
    found = {}
    for line in lines:
        with check.part():
            picture = _picture(line, pictures, annotations, reading, check, root, split)
            if picture.path in found:
                check.note("line", f"of the split {split} naming a picture again left out", line)
            found.setdefault(picture.path, picture)
    if reading.collected is not None:
        annotations.note_strays(pictures)
    return assemble(list(found.values()), class_names, check, reading, listed=root / "labels.txt")


class Annotations:
    """The XML files of a folder and its sub-folders, each read once.

    Args:
        folder: path.
        check: `BoxCheck`, which notes what is wrong in them.
    """

    def __init__(self, folder, check):
        self.folder = folder
        self.check = check
        self.files = Pictures(folder, (".xml",)).files
        self._by_name = {}
        for file in self.files:
            self._by_name[normal(file.relative_to(folder).with_suffix("").as_posix())] = file
        self._read, self._pictures = {}, {}

    def claim(self, file, picture):
        """Note whose annotation a file is.

        Raises:
            ValueError: it is that of another picture.
        """
        other = self._pictures.setdefault(file, picture)
        if other != picture:
            raise ValueError(
                f"{file} would be the annotation of {other} and of {picture}; give each picture its own."
            )

    def read(self, file):
        """The `VocXml` of a file."""
        if file not in self._read:
            self._read[file] = voc_xml.read(file, self.check)
        return self._read[file]

    def class_names(self):
        """The names of all objects."""
        names = set()
        for file in (file for file in self.files if not is_blank(file)):
            with self.check.part():
                names |= {*self.read(file).names}
        return names

    def note_strays(self, pictures):
        """Note the files that belong to no picture of a `Pictures`."""
        for file in self.files:
            name = file.relative_to(self.folder).with_suffix("").as_posix()
            with self.check.part():
                if pictures.find(name, str(file))[0] is None:
                    self.check.note("annotation", "without a picture not used", str(file))

    def file_of(self, name):
        """The file of a picture's name; the one that it should have if there is none."""
        whole = normal(name).removeprefix("JPEGImages/")
        name = stem(whole)
        return (
            self._by_name.get(name)
            or self._by_name.get(name.rpartition("/")[2])
            or self._by_name.get(whole)
            or self._by_name.get(stem(undoubled(whole)))
            or self.folder / f"{name}.xml"
        )


def annotated(path, image_id, file, annotations, reading, check):
    """Read the annotation of one picture.

    Args:
        path: the picture.
        image_id: str.
        file: path of its annotation.
        annotations: `Annotations`.
        reading, check: see `assemble`.

    Returns:
        `Annotated`.
    """
    annotations.claim(file, path)
    if not is_file(file) or (reading.missing_annotation == "empty" and is_blank(file)):
        return without_annotation(path, image_id, file, reading, check)
    xml = annotations.read(file)
    for index in xml.rotated:
        check.note("outline", "replaced with the box around it", f"object {index} of {file}")
    if reading.collected is not None and xml.filename and stem(normal(xml.filename)) != path.stem:
        check.note("annotation", "of another <filename> than that of its picture kept", str(file))
    return Annotated(path, image_id, str(file), xml.names, xml.boxes, xml.difficult, size=xml.size)


def _picture(line, pictures, annotations, reading, check, root, split):
    """The `Annotated` that a line of a split names."""
    where = f"{root / 'ImageSets' / 'Main' / split}.txt"
    if leaves(normal(line)) and not reading.allow_outside:
        raise ValueError(
            f"{where} names the picture {line[:80]}, which leads out of {pictures.folder}; write it relative "
            "to that folder, or allow it with --allow-outside."
        )
    path, mended = pictures.find(line, where)
    file = annotations.file_of(line)
    if path is None and is_file(file) and not is_blank(file) and annotations.read(file).filename:
        path, mended = pictures.find(annotations.read(file).filename, str(file))[0], True
    if path is None:
        raise FileNotFoundError(
            f"{pictures.folder} has no image {line} (.jpg, .png …), which the split {split} lists; add the "
            "file or take the line out."
        )
    if mended:
        check.note("picture", "found by another form of its name", f"{line} in {where}")
    return annotated(path, stem(normal(line)), file, annotations, reading, check)


def _splits(root):
    """The names of all splits of a folder."""
    folder = root / "ImageSets" / "Main"
    return sorted(path.stem for path in folder.glob("*.txt")) if is_dir(folder) else []


def _lines(root, split, pictures, check):
    """The names of pictures in a split."""
    file = root / "ImageSets" / "Main" / f"{split}.txt"
    if not is_file(file):
        splits = _splits(root)
        listed = remedy(split, splits, f"it has {', '.join(splits) or 'none'}.")
        raise FileNotFoundError(f"{root} has no split {split}; {listed}")
    lines = [line.strip() for line in read_text(file).splitlines() if line.strip()]
    if not lines:
        raise ValueError(f"{file} lists no image; write one image id a line.")
    # A split of one class has a flag in every line; elsewhere a last word of 1 belongs to the name.
    words = [line.rsplit(maxsplit=1) for line in lines]
    flagged = all(len(pair) == 2 and pair[1] in FLAGS for pair in words)
    if flagged and not all(pictures.find(line, file)[0] for line in lines):
        for name, flag in words:
            if flag == "-1":
                check.note("picture", f"that {split} marks as without its class kept", name)
        return [name for name, _ in words]
    return lines


def _class_names(root, annotations):
    """The classes of the whole folder."""
    if (root / "labels.txt").is_file():
        return read_labels(root / "labels.txt")
    names = annotations.class_names()
    if (root / "labelmap.txt").is_file():
        names |= _of_labelmap(root / "labelmap.txt")
    return tuple(sorted(names))


def _of_labelmap(file):
    """The classes in a `labelmap.txt` of CVAT, whose lines are `name:color:parts:actions`."""
    lines = [line.strip() for line in read_text(file).splitlines()]
    names = {line.partition(":")[0].strip() for line in lines if line and not line.startswith("#")}
    return names - {"", "background"}


def read_labels(file):
    """Read the class names in a `labels.txt`, one per line."""
    names = [scalars.class_name(line) for line in read_text(file).split("\n") if line.strip()]
    if not names or len(set(names)) < len(names):
        raise ValueError(f"{file} must hold one class name a line, each once.")
    return tuple(names)
