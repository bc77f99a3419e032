"""Detection sets of TensorFlow Datasets."""

import os
import tempfile
from typing import Any

import numpy as np
import tensorflow as tf

from keras_frcnn import images as image_ops
from keras_frcnn.data.dataset import DetectionDataset
from keras_frcnn.data.readers.assembly import STRICT, note_broken
from keras_frcnn.data.records import BoxCheck
from keras_frcnn.data.sources import decode_or_name
from keras_frcnn.images import headers
from keras_frcnn.names import remedy


def parse(text, spec, reading):
    """Read the set that TEXT of "tfds:TEXT" names, or return None if it has another form."""
    name, _, split = text.rpartition("@")
    return load(name, split, spec, reading) if name and split else None


def load(name, split, spec=None, reading=STRICT):
    """Read a TFDS set; download and prepare it first if necessary.

    Args:
        name: str, the set and optionally its configuration, for example `voc/2007`.
        split: str, for example `train+validation` or `train[:10%]`.
        spec: str, name of the set in messages.
        reading: `Reading`, of which a TFDS set knows `on_broken` alone.

    Returns:
        DetectionDataset; `is_difficult` and `is_crowd` objects are marked `ignore`.

    Raises:
        ValueError: there is no such set or split, it has no boxes, or tensorflow_datasets is not installed.
    """
    tfds: Any = _library()
    spec = spec or f"tfds:{name}@{split}"
    try:
        builder = tfds.builder(name)
    except (tfds.core.registered.DatasetNotFoundError, ValueError) as error:
        raise ValueError(f"TFDS has no set {name} ({str(error).splitlines()[0]}); check the name.") from None
    features: Any = builder.info.features
    objects = getattr(dict(features.items()).get("objects"), "feature", {})
    if "image" not in features or "bbox" not in objects or "label" not in objects:
        raise ValueError(
            f"The TFDS set {name} has no image with objects of bbox and label; take a detection set."
        )
    builder.download_and_prepare()
    class_names = tuple(objects["label"].names)
    try:
        data = builder.as_dataset(
            split=split, shuffle_files=False, decoders={"image": tfds.decode.SkipDecoding()}
        )
    except (ValueError, KeyError):
        splits = sorted(builder.info.splits)
        listed = remedy(split, splits, f"it has {', '.join(splits)}.")
        raise ValueError(f"The TFDS set {name} has no split {split}; {listed}") from None
    check = BoxCheck(spec, reading.collected)
    records, source, broken = [], Spool(), []
    for index, example in enumerate(data.as_numpy_iterator()):
        file = f"{spec} image {index}"
        if reading.on_broken == "skip" and not _decodes(example["image"], file):
            broken.append(file)
            continue
        records.append(_record(example, index, file, check))
        source.add(example["image"], file)
    note_broken(broken, len(records) + len(broken), check)
    check.report()
    return DetectionDataset(spec, class_names, records, source)


class Spool:
    """Encoded images in one temporary file, for random access."""

    def __init__(self):
        self._file = tempfile.TemporaryFile()
        self._ends = [0]
        self._names = []

    def __len__(self):
        return len(self._names)

    def add(self, contents, name):
        self._file.write(contents)
        self._ends.append(self._ends[-1] + len(contents))
        self._names.append(name)

    def image(self, index):
        return image_ops.from_bytes(*self._read(index))

    def tensor(self, index):
        contents, name = tf.numpy_function(self._read, [index], [tf.string, tf.string])
        return decode_or_name(tf.ensure_shape(contents, []), tf.ensure_shape(name, []))

    def _read(self, index):
        self._file.flush()
        start, end = self._ends[index : index + 2]
        # Unlike seek and read, pread is safe when several threads read at once.
        return os.pread(self._file.fileno(), end - start, start), self._names[index]


def _library():
    try:
        import tensorflow_datasets as tfds
    except ImportError as error:
        raise ValueError(f"tfds: sets need a package ({error}); pip install tensorflow-datasets.") from None
    return tfds


def _decodes(contents, file):
    try:
        image_ops.from_bytes(contents, file)
    except ValueError:
        return False
    return True


def _record(example, index, file, check):
    found = headers.header(example["image"])
    if found is None:
        raise ValueError(image_ops.undecodable(file, of_set=True))
    height, width, orientation = found
    headers.check_size(height, width, file)
    objects = example["objects"]
    y1, x1, y2, x2 = np.reshape(objects["bbox"], [-1, 4]).astype(np.float64).T
    boxes = np.stack([x1 * width, y1 * height, x2 * width, y2 * height], axis=-1)
    # TFDS does not rotate its images, so its boxes refer to the image as stored.
    if orientation >= 5:
        height, width = width, height
    boxes = image_ops.turn_boxes_upright(boxes, orientation, height, width)
    ignore = np.zeros(len(boxes), bool)
    for key in ("is_difficult", "is_crowd"):
        ignore |= np.asarray(objects.get(key, ignore), bool)
    name = example.get("image/filename", b"").decode() or index
    return check.record(name, file, height, width, boxes, objects["label"], ignore, objects.get("area"))
