"""Copy a detector with other settings and the same weights."""

import dataclasses

from keras_frcnn.backbones import Backbone
from keras_frcnn.models import Detector
from keras_frcnn.models.checked_arguments import checked_arguments
from keras_frcnn.models.defaults import entries
from keras_frcnn.names import remedy

PRECISIONS = ("float32", "bfloat16", "float16")


def with_settings(model: Detector, precision: str | None = None, **settings) -> Detector:
    """Copy a detector with some of its settings changed; None keeps the detector's own.

    Args:
        model: `Detector`; it is not changed.
        precision: "float32", "bfloat16" or "float16", the dtype that the network computes in and that its
            weights are kept in. Box arithmetic and scores stay float32.
        settings: `image_size`, `max_detections`, `score_threshold`, `nms_iou`.

    Returns:
        `Detector`; a backbone that is not given by name is copied.

    Raises:
        ValueError: a setting is out of range, or the detector does not have it.

    Example:
        >>> quick = with_settings(model, image_size=(300, 500), score_threshold=0.3)
    """
    settings = {name: value for name, value in settings.items() if value is not None}
    config = model.get_config()
    for name in settings:
        if name not in config:
            kind = type(model).__name__
            listed = remedy(name, model.arguments, f"leave it out, or see help(keras_frcnn.{kind}).")
            raise ValueError(f"{kind} has no {name}; {listed}")
        if name == "image_size" and model.arguments.get("pyramid_sides"):
            raise ValueError("A model with pyramid_sides has sizes of its own; leave image_size out.")
    settings = checked_arguments(type(model).__name__, settings, entries(model.argument_group))
    own_backbone = not isinstance(model.arguments["backbone"], str)
    if precision is not None:
        if precision not in PRECISIONS:
            raise ValueError(f"precision is {precision!r}; use one of {', '.join(PRECISIONS)}.")
        own = model.dtype_policy.compute_dtype
        if own_backbone and precision != own:
            raise ValueError(f"A backbone of your own keeps its precision, {own}; leave precision out.")
    if own_backbone:
        # Its config may not suffice to rebuild it, for example with a Lambda layer or an unregistered one.
        config["backbone"] = own = model.arguments["backbone"]
        if isinstance(own, Backbone):
            # The head's weights are copied below.
            config["backbone"] = dataclasses.replace(own, load_fc=None)
    else:
        # Only training needs weights of a higher precision than that of the computation.
        config["dtype"] = precision or model.dtype_policy.compute_dtype
    other = type(model).from_config({**config, **settings})
    for new, old in zip(other.weights, model.weights, strict=True):
        new.assign(old)
    other.restored = True
    return other
