"""Data sets by name and the pipeline that feeds the models."""

from collections.abc import Sequence
from pathlib import Path

from keras_frcnn.data import proposals, readers
from keras_frcnn.data.arrays import from_arrays
from keras_frcnn.data.dataset import DetectionDataset
from keras_frcnn.data.joining import join
from keras_frcnn.data.readers import register
from keras_frcnn.data.readers.assembly import Reading
from keras_frcnn.data.records import Record

__all__ = ["DetectionDataset", "Record", "from_arrays", "load", "proposals", "register"]


def load(
    spec: str | Path | Sequence[str | Path],
    class_names: Sequence[str] | None = None,
    default_split: str = "val",
    missing_annotation: str = "refuse",
    on_broken: str = "stop",
    allow_outside: bool = False,
) -> DetectionDataset:
    """Read one or more data sets by name.

    What is wrong in an annotation is mended where the right value is certain. What changes is counted, with
    one warning for each kind; what has two meanings is refused.

    Args:
        spec: `shapes@train`, `shapes@val`, `voc:ROOT@SPLIT`, `coco:INSTANCES.json@IMAGE_FOLDER`,
            `folder:ROOT[@SPLIT]`, `yolo:DATA.yaml@SPLIT`, `csv:FILE@IMAGE_FOLDER[@SPLIT]`, `labelme:FOLDER`,
            `tfds:NAME@SPLIT` or a spec of a registered kind; or a list of specs, whose sets are joined by
            class name.
        class_names: classes that the labels index, for example those of a model; by default the set's own.
        default_split: the split that a bare `shapes` stands for.
        missing_annotation: "refuse" a picture without an annotation, or take it as one without objects,
            "empty".
        on_broken: "stop" at a picture that cannot be decoded, or "skip" it; then every picture is decoded
            once, and at most ten or a tenth of them may be broken.
        allow_outside: whether annotations may name pictures outside the picture folder.

    Returns:
        DetectionDataset.

    Raises:
        FileNotFoundError: a folder, split, annotation or image is missing.
        ValueError: the string names no set, two sets have one picture, a file cannot be read, or the classes
            do not match.

    Example:
        >>> load("shapes@val").class_names
        ('circle', 'cross', 'ring', 'square', 'star', 'triangle')
    """
    specs = [str(spec)] if isinstance(spec, (str, Path)) else [str(text) for text in spec or ()]
    if not specs:
        raise ValueError(f"No data set is named; write {readers.forms()}.")
    twice = next((text for text in specs if specs.count(text) > 1), None)
    if twice is not None:
        raise ValueError(f"{twice} is named twice; name it once (`balance` shows rare classes more often).")
    reading = Reading(missing_annotation, on_broken, allow_outside)
    dataset = join([readers.read(text, default_split, reading) for text in specs])
    dataset = dataset if class_names is None else dataset.with_class_names(class_names)
    if not dataset.class_names:
        raise ValueError(
            f"{dataset.name} has no class, because none of its pictures has an object; join it with a set "
            "that has some."
        )
    return dataset
