"""Table of readers: the kinds of data sets and the function that reads each kind."""

import typing
import warnings
from collections.abc import Callable

from keras_frcnn.data.dataset import DetectionDataset
from keras_frcnn.data.readers import coco, csv_file, folder, labelme, shapes, tfds, voc, yolo
from keras_frcnn.data.readers.assembly import STRICT, Reading
from keras_frcnn.names import remedy


class Reader(typing.NamedTuple):
    """Form and reading function of one kind of data set.

    Args:
        form: text that users write, such as "voc:ROOT@SPLIT"; for messages.
        read: function of the text after the kind, the whole spec and a `Reading`. It returns a
            `DetectionDataset`, or None if the text has another form.
        without: names of the fields of `Reading` that have no effect on such a set.
    """

    form: str
    read: Callable[[str, str, Reading], DetectionDataset | None]
    without: tuple[str, ...] = ()


READERS = {
    "shapes": Reader("shapes@train or shapes@val", shapes.parse),
    "voc": Reader("voc:ROOT@SPLIT", voc.parse),
    "coco": Reader("coco:INSTANCES.json@IMAGE_FOLDER", coco.parse),
    "folder": Reader("folder:ROOT[@SPLIT]", folder.parse),
    "yolo": Reader("yolo:DATA.yaml@SPLIT", yolo.parse),
    "csv": Reader("csv:FILE@IMAGE_FOLDER[@SPLIT]", csv_file.parse),
    "labelme": Reader("labelme:FOLDER", labelme.parse),
    "tfds": Reader("tfds:NAME@SPLIT", tfds.parse, ("missing_annotation", "allow_outside")),
}


def register(name: str, reader: Callable[[str], DetectionDataset], form: str | None = None) -> None:
    """Add a kind of data set, so that `load` and the commands' `--train` and `--val` take "NAME:TEXT".

    Args:
        name: the kind, such as "mine"; letters, digits, "-" and "_".
        reader: function of TEXT that returns a `DetectionDataset`.
        form: text that messages tell users to write; by default "NAME:TEXT".

    Raises:
        ValueError: the name is taken or has other characters.

    Example:
        >>> keras_frcnn.data.register("first", lambda text: keras_frcnn.data.load(f"shapes@{text}"))
        >>> len(keras_frcnn.data.load("first:val"))
        200
    """
    if not name.replace("-", "").replace("_", "").isalnum():
        raise ValueError(f"A kind of data set has letters, digits, - and _ in its name, not {name!r}.")
    if name in READERS:
        raise ValueError(f"There is a reader of the name {name!r} already; choose another.")
    without = ("missing_annotation", "on_broken", "allow_outside")
    READERS[name] = Reader(form or f"{name}:TEXT", lambda text, spec, reading: reader(text), without)


def read(spec: str, default_split: str = "val", reading: Reading = STRICT) -> DetectionDataset:
    """Read the one data set that a string names.

    Args:
        spec: "KIND:TEXT"; see `keras_frcnn.data.load`.
        default_split: the split that a bare "shapes" stands for.
        reading: what to do with what cannot be mended.

    Raises:
        ValueError: the string names no set.
    """
    if "\0" in spec:
        raise ValueError(f"{spec!r} has a zero byte, which no path has; leave it out.")
    text = f"shapes@{default_split}" if spec == "shapes" else spec
    kind, _, rest = text.partition("@" if text.startswith("shapes@") else ":")
    dataset = READERS[kind].read(rest, spec, reading) if kind in READERS else None
    if dataset is None:
        listed = remedy(kind.partition("@")[0], READERS, f"write {forms()}.")
        raise ValueError(f"{spec!r} names no data set; {listed}")
    if not len(dataset):
        raise ValueError(f"{spec} has no picture; check its folder, its split and its annotations.")
    unheard = [name for name in READERS[kind].without if getattr(reading, name) != getattr(STRICT, name)]
    if unheard:
        options = " and ".join(f"--{name.replace('_', '-')}" for name in unheard)
        warnings.warn(f"{spec} is read as its own reader does, without {options}.", stacklevel=2)
    return dataset


def forms() -> str:
    """List the forms of all kinds, for messages."""
    *most, last = (reader.form for reader in READERS.values())
    return f"{', '.join(most)} or {last}"
