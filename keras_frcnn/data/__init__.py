"""Data sets by name and the pipeline that feeds the models."""

from collections.abc import Sequence
from pathlib import Path

from keras_frcnn.data import proposals, readers
from keras_frcnn.data.dataset import DetectionDataset, join
from keras_frcnn.data.readers import register
from keras_frcnn.data.records import Record

__all__ = ["DetectionDataset", "Record", "load", "proposals", "register"]


def load(
    spec: str | Path | Sequence[str | Path],
    class_names: Sequence[str] | None = None,
    default_split: str = "val",
) -> DetectionDataset:
    """Read one or more data sets by name.

    Args:
        spec: `shapes@train`, `shapes@val`, `voc:ROOT@SPLIT`, `coco:INSTANCES.json@IMAGE_FOLDER`,
            `tfds:NAME@SPLIT` or a spec of a registered kind; or a list of specs, whose sets are joined by
            class name.
        class_names: classes that the labels index, for example those of a model; by default the set's own.
        default_split: the split that a bare `shapes` stands for.

    Returns:
        DetectionDataset.

    Raises:
        FileNotFoundError: a folder, split, annotation or image is missing.
        ValueError: the string names no set, a file cannot be read, or the classes do not match.

    Example:
        >>> load("shapes@val").class_names
        ('circle', 'cross', 'ring', 'square', 'star', 'triangle')
    """
    specs = [spec] if isinstance(spec, (str, Path)) else list(spec)
    if not specs:
        raise ValueError(f"No data set is named; write {readers.forms()}.")
    dataset = join([readers.read(str(text), default_split) for text in specs])
    return dataset if class_names is None else dataset.with_class_names(class_names)
