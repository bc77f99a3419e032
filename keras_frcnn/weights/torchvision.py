"""torchvision's four Faster R-CNNs: from its state dicts to models, and back."""

import hashlib
from pathlib import Path

from keras_frcnn import checkpoints
from keras_frcnn.backbones.torchvision import DEFAULTS
from keras_frcnn.models import FasterRCNN
from keras_frcnn.weights.coco import TORCHVISION_CLASS_NAMES
from keras_frcnn.weights.torchvision_names import current_name, detector_tensors

# torchvision's builders (models/detection/faster_rcnn.py), and the backbone that each is here.
BACKBONES = {
    "fasterrcnn_resnet50_fpn": "resnet50_fpn",
    "fasterrcnn_resnet50_fpn_v2": "resnet50_fpn_v2",
    "fasterrcnn_mobilenet_v3_large_fpn": "mobilenet_v3_large_fpn",
    "fasterrcnn_mobilenet_v3_large_320_fpn": "mobilenet_v3_large_320_fpn",
}
# The COCO_V1 file, fasterrcnn_resnet50_fpn_coco-258fb6c6.pth: its name has the beginning of its SHA-256.
TRAINED_WITHOUT_EPSILON = "258fb6c6"


def load_torchvision(name, source, class_names=None, batch_norm_epsilon=None, **arguments):
    """A detector with the weights of one of torchvision's Faster R-CNNs.

    Labels are torchvision's less one, for they have no background: of the published files, which know the
    90 ids of COCO, ten labels are called "N/A".

    Args:
        name: "fasterrcnn_resnet50_fpn", "fasterrcnn_resnet50_fpn_v2", "fasterrcnn_mobilenet_v3_large_fpn" or
            "fasterrcnn_mobilenet_v3_large_320_fpn".
        source: the state dict: a `.safetensors` or `.npz` file, a `.pth` file where torch is installed, or a
            dict from names to arrays.
        class_names: names of the K classes, without background; by default those of COCO.
        batch_norm_epsilon: by default 0 for the published file of `fasterrcnn_resnet50_fpn`, which was
            trained so, told by its SHA-256 or by having it in its name; and 1e-5 for any other.
        **arguments: further ones of `FasterRCNN`, such as `score_threshold` or `frozen_stages`.

    Returns:
        `FasterRCNN`, not compiled; its first stages and its batch normalisation are frozen as torchvision's.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: an unknown name; a file that is damaged or needs torch; a tensor that is missing, one too
            many, or of another shape.

    Example:
        >>> model = load_torchvision("fasterrcnn_resnet50_fpn", "fasterrcnn_resnet50_fpn_coco-258fb6c6.pth")
        >>> model.detect("street.jpg")["labels"]
    """
    if name not in BACKBONES:
        raise ValueError(f"torchvision has no Faster R-CNN {name!r}; use one of {', '.join(BACKBONES)}.")
    state = {current_name(key): array for key, array in checkpoints.read(source).items()}
    if batch_norm_epsilon is None:
        batch_norm_epsilon = epsilon_of(source)
    model = FasterRCNN(
        class_names or TORCHVISION_CLASS_NAMES,
        backbone=BACKBONES[name],
        weights_source=name if isinstance(source, dict) else Path(source).name,
        batch_norm_epsilon=batch_norm_epsilon,
        **arguments,
    )
    origin = "the state dict" if isinstance(source, dict) else str(source)
    checkpoints.assign(detector_tensors(model), state, origin)
    model.note_origin(model.weights, model.recipe["weights_source"])
    return model


def to_torchvision(model):
    """The state dict of a detector, as torchvision's model of the same name and number of classes has it.

    Args:
        model: `FasterRCNN` on one of torchvision's backbones.

    Returns:
        dict from torchvision's names to NumPy arrays: float32, and the int64 counters of batch
        normalisation, which nothing reads, at 0.

    Raises:
        ValueError: torchvision has no such model.

    Example:
        >>> state = {name: torch.from_numpy(array) for name, array in to_torchvision(model).items()}
        >>> fasterrcnn_resnet50_fpn(weights_backbone=None, num_classes=4).load_state_dict(state)
    """
    recipe = model.recipe
    if not isinstance(model, FasterRCNN) or recipe["backbone"] not in BACKBONES.values():
        raise ValueError(
            f"torchvision has no model like this {type(model).__name__}; it must be a FasterRCNN on "
            f"{', '.join(BACKBONES.values())}."
        )
    structure = {
        "objectness": "sigmoid",
        "class_agnostic": False,
        "head_ranks": None,
        "head_background_box": True,
        "rpn_depth": model.backbone_parts.defaults.get("rpn_depth", 1),
    }
    other = [key for key, value in structure.items() if recipe[key] != value]
    if other:
        raise ValueError(
            f"This model has another {', '.join(other)} than torchvision's {recipe['backbone']}; its weights "
            "would not fit there."
        )
    return {tensor.name: tensor.to_torch() for tensor in detector_tensors(model)}


def epsilon_of(source):
    """The epsilon of batch normalisation that a state dict was trained with; see `load_torchvision`."""
    if isinstance(source, dict):
        return DEFAULTS["batch_norm_epsilon"]
    path = Path(source)
    with open(path, "rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    known = TRAINED_WITHOUT_EPSILON in path.name or digest.startswith(TRAINED_WITHOUT_EPSILON)
    return 0.0 if known else DEFAULTS["batch_norm_epsilon"]
