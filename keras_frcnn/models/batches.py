"""Checks of the format of batches, with readable errors.

Letters: B images, H height, W width, P proposals, M ground-truth boxes.
"""

import tensorflow as tf

# For each target its rank and whether a type is right.
TARGETS = {
    "boxes": (3, lambda dtype: dtype == tf.float32),
    "labels": (2, lambda dtype: dtype.is_integer),
    "ignore": (2, lambda dtype: dtype == tf.bool),
}


def check_images(x, name):
    """Raise a readable error unless the input is a batch of images.

    Args:
        x: images, or a dict with "images".
        name: str, name of the model's class.

    Raises:
        ValueError: the images are not `[B, H, W, 3]`.
    """
    if isinstance(x, dict) and "images" not in x:
        raise ValueError(f"{name} wants a dict with 'images' and 'image_shapes'; got one of {_names(x)}.")
    shape = _shape(x["images"] if isinstance(x, dict) else x)
    if shape.rank is not None and (shape.rank != 4 or shape[-1] not in (3, None)):
        raise ValueError(
            f"{name} wants a batch of RGB images [B, H, W, 3] and got shape {tuple(shape)}; give a single "
            "image as image[None], a gray one with its channel three times, or a file to detect."
        )


def check_proposals(x, name):
    """Raise a readable error if a batch has no proposals.

    Args:
        x: dict, or images alone.
        name: str, name of the model's class.

    Raises:
        ValueError: there are none, or they are not `[B, P, 4]`.
    """
    if not isinstance(x, dict) or "proposals" not in x:
        raise ValueError(
            f"{name} needs proposals: give a dict with 'proposals', as the batches of "
            "`dataset.with_proposals(...)` have it."
        )
    shape = _shape(x["proposals"])
    if shape.rank is not None and (shape.rank != 3 or shape[-1] not in (4, None)):
        raise ValueError(
            f"{name} wants 'proposals' [B, P, 4], xyxy pixels padded with −1, and got shape {tuple(shape)}."
        )


def check_targets(y, sample_weight):
    """Raise a readable error for targets in another format or for sample weights.

    Args:
        y: targets of a batch.
        sample_weight: weights given with them; must be None.

    Raises:
        ValueError: there are weights, or `y` is not a dict of "boxes", "labels" and "ignore" of the right
            shapes and types.
    """
    if sample_weight is not None:
        raise ValueError(
            "The losses of a detector count anchors and RoIs, of which sample_weight and class_weight know "
            "nothing; leave these out, and mark objects that are not to count with 'ignore'."
        )
    for name in TARGETS if isinstance(y, dict) else ():
        if isinstance(y.get(name), (tf.RaggedTensor, tf.RaggedTensorSpec)):
            padding = False if name == "ignore" else -1
            raise ValueError(f"The target {name!r} is ragged; pad it with {name}.to_tensor({padding}).")
    if not isinstance(y, dict) or TARGETS.keys() - y.keys() or _unfit(y):
        given = _names(y) if isinstance(y, dict) else type(y).__name__
        raise ValueError(
            "The targets of a batch are a dict {'boxes': float32 [B, M, 4] xyxy pixels, 'labels': int [B, M] "
            "from 0, 'ignore': bool [B, M]}, padded with −1, as the batches of a data set have it; got "
            f"{given}."
        )


def _unfit(y):
    """Whether a target has another rank or type."""
    for name, (rank, fits) in TARGETS.items():
        shape, dtype = _shape(y[name]), tf.as_dtype(_dtype(y[name]))
        if shape.rank not in (rank, None) or not fits(dtype):
            return True
    return _shape(y["boxes"])[-1] not in (4, None)


def _dtype(value):
    return value.dtype if hasattr(value, "dtype") else tf.convert_to_tensor(value).dtype


def _shape(value):
    shape = value.shape if hasattr(value, "shape") else tf.convert_to_tensor(value).shape
    return tf.TensorShape(shape)


def _names(values):
    given = []
    for name, value in values.items():
        shape = _shape(value)
        sides = "of any shape" if shape.rank is None else tuple(shape)
        given.append(f"{name!r} {tf.as_dtype(_dtype(value)).name} {sides}")
    return ", ".join(given) or "nothing"
