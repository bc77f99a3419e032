"""Data sets: reading them by name, and the pipeline that feeds the models."""

from keras_frcnn.data import proposals
from keras_frcnn.data import spec as _spec
from keras_frcnn.data.dataset import DetectionDataset, join
from keras_frcnn.data.records import Record

__all__ = ["DetectionDataset", "Record", "load", "proposals"]


def load(spec, class_names=None, default_split="val"):
    """Read the data set, or the sets, that a string names.

    Args:
        spec: `shapes@train`, `shapes@val`, `voc:ROOT@SPLIT`, `coco:INSTANCES.json@IMAGE_FOLDER` or
            `tfds:NAME@SPLIT`; or a list of such strings, which are joined by class name.
        class_names: classes to count the labels in, for instance those of a model; by default the set's own.
        default_split: the split meant by a bare `shapes`.

    Returns:
        DetectionDataset.

    Raises:
        FileNotFoundError: a folder, split, annotation or image is missing.
        ValueError: the string names no set, a file cannot be read, or the classes do not match.

    Example:
        >>> load("shapes@val").class_names
        ('circle', 'cross', 'ring', 'square', 'star', 'triangle')
    """
    specs = [spec] if isinstance(spec, str) else list(spec)
    if not specs:
        raise ValueError(f"No data set is named; write {_spec.FORMS}.")
    dataset = join([_load_one(_spec.parse(text, default_split), text) for text in specs])
    return dataset if class_names is None else dataset.with_class_names(class_names)


def _load_one(spec, text):
    # Imported here, so that a set needs only the libraries of its own kind.
    if spec.kind == "shapes":
        from keras_frcnn.data.readers import shapes

        return shapes.load(spec.split)
    if spec.kind == "voc":
        from keras_frcnn.data.readers import voc

        return voc.load(spec.place, spec.split, text)
    if spec.kind == "coco":
        from keras_frcnn.data.readers import coco

        return coco.load(spec.place, spec.split, text)
    from keras_frcnn.data.readers import tfds

    return tfds.load(spec.place, spec.split, text)
