"""Convert state dicts of torchvision's four Faster R-CNNs to models, and back."""

import dataclasses
import hashlib
from collections.abc import Sequence
from os import PathLike
from pathlib import Path

import keras
import numpy as np

from keras_frcnn import checkpoints
from keras_frcnn.backbones.torchvision_common import DEFAULTS
from keras_frcnn.models import FasterRCNN
from keras_frcnn.models.defaults import resolve
from keras_frcnn.models.faster_rcnn import FasterRCNNArguments
from keras_frcnn.names import remedy
from keras_frcnn.weights.coco import TORCHVISION_CLASS_NAMES
from keras_frcnn.weights.torchvision_names import current_name, detector_tensors

# torchvision's builders (models/detection/faster_rcnn.py), and the backbone of each here.
BACKBONES = {
    "fasterrcnn_resnet50_fpn": "resnet50_fpn",
    "fasterrcnn_resnet50_fpn_v2": "resnet50_fpn_v2",
    "fasterrcnn_mobilenet_v3_large_fpn": "mobilenet_v3_large_fpn",
    "fasterrcnn_mobilenet_v3_large_320_fpn": "mobilenet_v3_large_320_fpn",
}
# First digits of the SHA-256 of the COCO_V1 file, fasterrcnn_resnet50_fpn_coco-258fb6c6.pth.
TRAINED_WITHOUT_EPSILON = "258fb6c6"
# Arguments that determine the tensors and the computation. The others only affect training, or
# torchvision's builders take them too.
ARCHITECTURE = (
    *("resize_rounding", "canvas", "preprocessing", "anchor_sizes", "anchor_ratios", "anchor_offset"),
    *(
        "anchor_rounding",
        "anchor_steps",
        "objectness",
        "rpn_channels",
        "rpn_depth",
        "rpn_min_size",
        "rpn_min_size_first",
        "pooling",
    ),
    *("pool_size", "pool_samples", "pool_aligned", "head_convs", "head_units", "head_ranks"),
    *("head_background_box", "head_coder_weights", "class_agnostic", "min_box_size"),
)
# The tensor with one number for the background and one for each class.
OF_CLASSES = "roi_heads.box_predictor.cls_score.bias"


def load_torchvision(
    name: str,
    source: str | PathLike | dict,
    class_names: Sequence[str] | None = None,
    batch_norm_epsilon: float | None = None,
    **arguments,
) -> FasterRCNN:
    """Build a detector with the weights of one of torchvision's Faster R-CNNs.

    Labels are torchvision's minus one, because they leave out the background. The published files have the
    90 ids of COCO, so ten labels are named "N/A".

    Args:
        name: "fasterrcnn_resnet50_fpn", "fasterrcnn_resnet50_fpn_v2", "fasterrcnn_mobilenet_v3_large_fpn" or
            "fasterrcnn_mobilenet_v3_large_320_fpn".
        source: the state dict: a `.safetensors`, `.npz` or `.pth` file, or a dict from names to arrays.
        class_names: names of the K classes, without background; by default those of COCO.
        batch_norm_epsilon: by default 0 for the published file of `fasterrcnn_resnet50_fpn`, which was
            trained this way, and 1e-5 for any other. The file is recognized by its SHA-256, in its contents
            or name. A dict of its tensors is not recognized: pass 0.0. With 0, torchvision's own model needs
            `torchvision.models.detection._utils.overwrite_eps(model, 0.0)`.
        **arguments: further arguments of `FasterRCNN`, such as `image_size`, `score_threshold` or
            `frozen_stages`. Pass those that differ from torchvision's to its builder too, so that both
            models give the same results.

    Returns:
        `FasterRCNN`, not compiled; its first stages and its batch normalization are frozen as in torchvision.

    Raises:
        FileNotFoundError: there is no such file.
        TypeError: `backbone`, `backbone_weights` or `weights_source` is given.
        ValueError: an unknown name; a file that is damaged; a tensor that is missing, unexpected,
            duplicate or of another shape; a number of names that differs from that of classes.

    Example:
        >>> model = load_torchvision("fasterrcnn_resnet50_fpn", "fasterrcnn_resnet50_fpn_coco-258fb6c6.pth")
        >>> model.detect("street.jpg")["labels"]
    """
    return from_state(name, checkpoints.read(source), source, class_names, batch_norm_epsilon, **arguments)


def from_state(
    name: str,
    state: dict[str, np.ndarray],
    source: str | PathLike | dict,
    class_names: Sequence[str] | None = None,
    batch_norm_epsilon: float | None = None,
    **arguments,
) -> FasterRCNN:
    """Build a detector from tensors that are already read.

    Args:
        name: one of the four names that `load_torchvision` takes.
        state: dict from torchvision's names of tensors to arrays, read from `source`.
        source: where `state` was read from, a file or a dict. Its name becomes the source of the weights, and
            it decides the default of `batch_norm_epsilon`.
        class_names: names of the K classes, without background; by default those of COCO.
        batch_norm_epsilon: by default 0 or 1e-5, depending on `source`; see `load_torchvision`.
        **arguments: further arguments of `FasterRCNN`.

    Returns:
        `FasterRCNN`, not compiled; its first stages and its batch normalization are frozen as in torchvision.

    Raises:
        FileNotFoundError: `source` is a path without a file, and `batch_norm_epsilon` is None.
        TypeError: `backbone`, `backbone_weights` or `weights_source` is given.
        ValueError: an unknown name; a tensor that is missing, unexpected, duplicate or of another shape; a
            number of names that differs from that of classes.
    """
    if name not in BACKBONES:
        listed = remedy(name, BACKBONES, f"use one of {', '.join(BACKBONES)}.")
        raise ValueError(f"torchvision has no Faster R-CNN {name!r}; {listed}")
    refuse_decided("load_torchvision", arguments)
    origin = "the state dict" if isinstance(source, dict) else str(source)
    class_names = class_names or TORCHVISION_CLASS_NAMES
    spelled = _spelled(state, origin)
    _check_classes(state.get(OF_CLASSES), class_names, origin)
    if batch_norm_epsilon is None:
        batch_norm_epsilon = epsilon_of(source)
    model = FasterRCNN(
        class_names,
        backbone=BACKBONES[name],
        weights_source=name if isinstance(source, dict) else Path(source).name,
        batch_norm_epsilon=batch_norm_epsilon,
        **arguments,
    )
    tensors = [
        dataclasses.replace(tensor, name=spelled.get(tensor.name, tensor.name))
        for tensor in detector_tensors(model)
    ]
    checkpoints.assign(tensors, state, origin)
    model.note_origin(model.weights, model.arguments["weights_source"])
    return model


def refuse_decided(function, arguments):
    """Raise a TypeError if the arguments have what the name of published weights decides."""
    decided = [key for key in ("backbone", "backbone_weights", "weights_source") if key in arguments]
    if decided:
        raise TypeError(
            f"{function} takes no {', '.join(decided)}: the name and the source decide; leave it out."
        )


def _spelled(state, origin):
    """Map the current names of tensors to their names in a file."""
    spelled = {}
    for name in state:
        other = spelled.setdefault(current_name(name), name)
        if other != name:
            raise ValueError(f"Tensors {other} and {name} of {origin} are one by two names; leave one out.")
    return spelled


def _check_classes(bias, class_names, origin):
    """Raise a readable error when the number of names differs from the number of classes."""
    if np.ndim(bias) == 1 and len(bias) != len(class_names) + 1:
        raise ValueError(
            f"The classes of {origin} are {len(bias) - 1}, and the names {len(class_names)} (by default "
            f"COCO's); give {len(bias) - 1} names with class_names, or with --class-names."
        )


def to_torchvision(model: FasterRCNN) -> dict[str, np.ndarray]:
    """Convert a detector to the state dict of torchvision's model of the same name and number of classes.

    The state dict has only the weights. If `model.arguments["batch_norm_epsilon"]` is 0, torchvision's model
    needs `torchvision.models.detection._utils.overwrite_eps(model, 0.0)`. Pass an `image_size` or a threshold
    that differs from torchvision's to its builder.

    Args:
        model: `FasterRCNN` on one of torchvision's backbones.

    Returns:
        dict from torchvision's names to NumPy arrays: float32, and the int64 counters of batch
        normalization, which are 0 because nothing reads them.

    Raises:
        ValueError: torchvision has no such model.

    Example:
        >>> state = {name: torch.from_numpy(array) for name, array in to_torchvision(model).items()}
        >>> fasterrcnn_resnet50_fpn(weights_backbone=None, num_classes=4).load_state_dict(state)
    """
    if not isinstance(model, FasterRCNN) or model.arguments["backbone"] not in BACKBONES.values():
        raise ValueError(
            f"torchvision has no model like this {type(model).__name__}; it must be a FasterRCNN on "
            f"{', '.join(BACKBONES.values())}."
        )
    usual = resolve(FasterRCNNArguments, {}, model.backbone_info)
    other = [
        key
        for key in ARCHITECTURE
        # Flatten, because a loaded model has lists where a new one has tuples.
        if keras.tree.flatten(model.arguments[key]) != keras.tree.flatten(usual[key])
    ]
    if other:
        raise ValueError(
            f"This model has another {', '.join(other)} than torchvision's {model.arguments['backbone']}; it "
            "would not answer the same there."
        )
    return {tensor.name: tensor.to_torch() for tensor in detector_tensors(model)}


def epsilon_of(source):
    """The epsilon of batch normalization that a state dict was trained with; see `load_torchvision`."""
    if isinstance(source, dict):
        return DEFAULTS["batch_norm_epsilon"]
    path = Path(source)
    with open(path, "rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    known = TRAINED_WITHOUT_EPSILON in path.name or digest.startswith(TRAINED_WITHOUT_EPSILON)
    return 0.0 if known else DEFAULTS["batch_norm_epsilon"]
