"""Check the values of the first batch that `fit` and `evaluate` get from a pipeline of the user's own.

What a graph can see of every batch, such as its types, is in `batches.py`. Values would cost time in each
step; a pipeline that is wrong is nearly always wrong from its first batch on.

Letters: B images, H height, W width, P proposals, M objects.
"""

import contextlib
import itertools
import types
import warnings

import keras
import numpy as np
import tensorflow as tf

from keras_frcnn import _compat
from keras_frcnn.data import DetectionDataset
from keras_frcnn.data.records import counted
from keras_frcnn.models.batches import check_targets

# Shapes of the parts of a batch; a size that has a letter is the same in all of them.
FORMS = {
    "images": ("B", "H", "W", 3),
    "image_shapes": ("B", 2),
    "proposals": ("B", "P", 4),
    "boxes": ("B", "M", 4),
    "labels": ("B", "M"),
    "ignore": ("B", "M"),
}
# Of arrays as data, the first images stand for all.
FEW = 32
# Pixels that rounding may push a box beyond its image.
ROUNDING = 1.5
# Share of the boxes that may reach further: an annotator's slip is no other format.
SLIPS = 0.2
# Share of its image's sides that none may reach beyond.
FAR = 0.05


@contextlib.contextmanager
def checked(model, x, args, kwargs):
    """Context manager for `fit` and `evaluate`, in which the first batch is checked, also that of validation.

    Args:
        model: `Detector`.
        x, args, kwargs: arguments of `fit` or `evaluate`.

    Yields:
        `x` and `kwargs`, or what stands for them.

    Raises:
        ValueError: the first batch is wrong; the message says how to mend it.
    """
    found = []

    def check(first):
        x, y = (*first, None)[:2] if isinstance(first, tuple) else (first, None)
        model.check_inputs(x)
        fault = _fault(x, y, None if model.only_proposals else len(model.class_names))
        if fault:
            found.append(f"In the first batch {fault}.")
            raise ValueError(found[0])

    if not kwargs.get("_use_cached_eval_dataset"):  # else `fit` has checked it as its validation data
        x = _watched(model, x, args[0] if args else kwargs.get("y"), check)
    validation = kwargs.get("validation_data")
    if isinstance(validation, tuple):
        _watched(model, validation[0], validation[1], check)
    elif validation is not None:
        kwargs = {**kwargs, "validation_data": _watched(model, validation, None, check)}
    try:
        yield x, kwargs
    except tf.errors.OpError:
        if found:
            raise ValueError(found[0]) from None
        raise


def warn_of_other_size(model, *given):
    """Warn once if what `fit` gets are batches of this package at one size, which is not the model's.

    Args:
        model: `Detector`.
        given: training and validation data, of any kind.
    """
    if model.canvas or model.arguments.get("pyramid_sides"):
        return
    for data in given:
        same = isinstance(data, tf.data.Dataset)
        position = _compat.attribute_upstream(data, "position", _compat.SAME_ELEMENTS) if same else None
        if position and not position.scales and position.image_size != model.image_size:
            warnings.warn(
                f"The batches have images of the size {position.image_size}, but the model works at "
                f"{model.image_size}; give batches(..., image_size=model.image_size).",
                stacklevel=3,
            )
            return


def _watched(model, x, y, check):
    """Check the first batch of the data; if it is not there yet, return data that check it when it comes."""
    if isinstance(x, DetectionDataset):
        raise ValueError(
            f"fit and evaluate take batches, not {x!r}; give dataset.batches(batch_size, "
            "image_size=model.image_size), for fit with training=True."
        )
    if isinstance(x, tf.data.Dataset):
        position = _compat.attribute_upstream(x, "position")
        if position is not None:  # it is of a data set of this package, whose values are right
            _check_classes(model, position.classes)
            return x
        if isinstance(x.element_spec, tuple) and len(x.element_spec) > 1:
            model.check_inputs(x.element_spec[0])
            check_targets(x.element_spec[1], None)
        return _watched_dataset(x, check)
    if isinstance(x, keras.utils.PyDataset):
        check(x[0])
    elif y is not None:
        check(tf.nest.map_structure(lambda value: value[:FEW] if hasattr(value, "shape") else value, (x, y)))
    elif isinstance(x, types.GeneratorType):
        first = next(x)
        check(first)
        return (batch for batch in itertools.chain([first], x))  # Keras takes no other iterator
    return x


def _check_classes(model, classes):
    """Refuse labels that mean other classes to the model than to the data, a dict from label to name."""
    if model.only_proposals:
        return
    names = tuple(model.class_names)
    for label, name in classes.items():
        if label >= len(names) or (name in names and names[label] != name):
            held = counted(len(names), "class")
            there = f"{names[label]!r} in the model" if label < len(names) else f"the model has only {held}"
            raise ValueError(
                f"Label {label} is {name!r} in the data, but {there}; give both the same list, for example "
                "with dataset.with_class_names(model.class_names)."
            )


def _watched_dataset(data, check):
    """The same data set, which checks its first element."""
    spec = data.element_spec

    def look(*flat):
        check(tf.nest.pack_sequence_as(spec, list(flat)))
        return np.int64(0)

    def once(index, element):
        flat = tf.nest.flatten(element)
        looked = tf.cond(index == 0, lambda: tf.numpy_function(look, flat, tf.int64), lambda: index)
        with tf.control_dependencies([looked]):
            return tf.nest.map_structure(tf.identity, element)

    dense = all(isinstance(part, tf.TensorSpec) for part in tf.nest.flatten(spec))
    return data.enumerate().map(lambda index, element: once(index, element)) if dense else data


def _fault(x, y, class_count):
    """What is wrong with a batch, with its remedy; "" if nothing is seen."""
    x = x if isinstance(x, dict) else {"images": x}
    if not isinstance(y, dict) or {"boxes", "labels"} - y.keys():
        return ""  # refused at the trace
    given = {name: (x | y)[name] for name in FORMS if name in x | y}
    for name, value in given.items():
        if isinstance(value, (list, tuple)):
            return f"'{name}' is a {type(value).__name__}; give an array or a tensor"
    if any(isinstance(value, tf.RaggedTensor) for value in given.values()):
        return ""  # refused at the trace
    arrays = {name: np.asarray(value) for name, value in given.items()}
    fault = _of_shapes(arrays) or _of_types(arrays)
    if fault:
        return fault
    images, boxes, labels = arrays["images"], arrays["boxes"], arrays["labels"]
    whole = np.tile(images.shape[1:3], [len(images), 1])
    sides = np.asarray(arrays.get("image_shapes", whole), np.float64)
    ignore = np.asarray(arrays.get("ignore", np.zeros(labels.shape)), bool)
    return (
        _of_images(images, sides)
        or _of_labels(labels, boxes, class_count)
        or _of_boxes(boxes, labels, ignore, sides)
    )


def _of_shapes(arrays):
    first = {}  # for each letter the part of the batch that has set its size
    for name, array in arrays.items():
        shape, form = list(array.shape), FORMS[name]
        if len(shape) != len(form) or any(
            isinstance(side, int) and side != size for side, size in zip(form, shape)
        ):
            return f"'{name}' is {shape}; give {_written(form)}"
        for letter, size in zip(form, shape):
            other = first.setdefault(letter, name)
            there = arrays[other].shape[FORMS[other].index(letter)]
            if size != there:
                sizes = f"'{other}' is {list(arrays[other].shape)} and '{name}' {shape}"
                return f"{sizes}; give {_written(FORMS[other], form)}"
    return ""


def _written(*forms):
    """The shapes to give, in words."""
    shapes = " and ".join(f"[{', '.join(map(str, form))}]" for form in forms)
    each = " with M objects each" if any("M" in form for form in forms) else ""
    return f"{shapes} for B images{each}"


def _of_types(arrays):
    for name, array in arrays.items():
        if array.dtype.kind in "OUS" and name != "labels":
            return f"'{name}' has no numbers; give an array of numbers"
    dtype = arrays["labels"].dtype
    if dtype.kind not in "iu":
        kind = "no numbers" if dtype.kind in "OUS" else f"the type {dtype}"
        return f"'labels' has {kind}; give whole numbers from 0 in the order of the classes, padded with -1"
    return ""


def _of_images(images, sides):
    low, high = float(images.min(initial=0)), float(images.max(initial=0))
    if low < 0 or high > 255 or (images.dtype.kind == "f" and 0 < high <= 1):
        return (
            f"'images' has pixels from {low:g} to {high:g}; give RGB 0-255, the model normalizes them itself"
        )
    room = images.shape[1:3]
    if (sides > room).any() or (sides < 1).any():
        index = int(np.flatnonzero(((sides > room) | (sides < 1)).any(-1))[0])
        given = f"'image_shapes' has {sides[index].astype(int).tolist()} for an image of {list(room)}"
        return f"{given}; give (height, width) without the padding, in this order"
    return ""


def _of_labels(labels, boxes, class_count):
    if labels.min(initial=-1) < -1 or (class_count is not None and labels.max(initial=-1) >= class_count):
        wrong = int(labels.min() if labels.min() < -1 else labels.max())
        return (
            f"'labels' has {wrong}; the classes of this model are 0 to {(class_count or 1) - 1}, and -1 is "
            "padding"
        )
    unlike = (labels >= 0) & ((boxes == -1).all(-1) | (boxes == 0).all(-1))
    if unlike.any():
        return "a row of padding has a label from 0; pad 'labels' and 'boxes' with -1 and 'ignore' with False"
    return ""


def _of_boxes(boxes, labels, ignore, sides):
    image, row = np.nonzero(labels >= 0)
    boxes, limits = boxes[image, row].astype(np.float64), sides[image][:, ::-1]
    if not len(boxes):
        return ""
    if not np.isfinite(boxes).all():
        return "'boxes' has a coordinate that is not finite; leave such objects out"
    if boxes.max() < 1.01:
        return "'boxes' end before pixel 1 and look normalized; multiply x by the width and y by the height"
    form = "boxes are xyxy: left, top, right and bottom in pixels of the batch's images"
    flat = (boxes[:, 2:] <= boxes[:, :2]).any(-1)
    if flat.any():
        shown = np.round(boxes[np.argmax(flat)], 2).tolist()
        return f"'boxes' has {shown}, which ends before it begins, as width and height would; {form}"
    # Regions that are ignored may reach anywhere.
    counts = ~ignore[image, row]
    beyond = counts & ((boxes[:, 2:] > limits + ROUNDING) | (boxes[:, :2] < -ROUNDING)).any(-1)
    far = counts & ((boxes[:, 2:] > limits * (1 + FAR)) | (boxes[:, :2] < -limits * FAR)).any(-1)
    if beyond.mean() > SLIPS or far.any():
        first = int(np.argmax(beyond))
        turned = (boxes[:, 2:] <= limits[:, ::-1] + ROUNDING).all()
        hint = ", and y seems to come before x" if turned else ""
        size = " x ".join(f"{side:g}" for side in limits[first])
        shown = np.round(boxes[first], 2).tolist()
        return f"'boxes' has {shown} in an image of {size}{hint}; {form}, clipped to them"
    return ""
