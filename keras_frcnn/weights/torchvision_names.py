"""Map the tensors of torchvision's detectors to variables here.

Names are those of torchvision 0.13 and later. Older files, including three published ones, have shorter
names in the pyramid and in the RPN.
"""

import re

from keras_frcnn.checkpoints import flattened_dense, layer_tensors

# torchvision's own rules for older files: _load_from_state_dict of ops/feature_pyramid_network.py and of
# models/detection/rpn.py.
OLDER = (
    (r"(backbone\.fpn\.(?:inner|layer)_blocks\.\d+)\.(weight|bias)", r"\1.0.\2"),
    (r"(rpn\.head\.conv)\.(weight|bias)", r"\1.0.0.\2"),
)


def current_name(name):
    """The name of a tensor since torchvision 0.13.

    Example:
        >>> current_name("rpn.head.conv.weight")
        'rpn.head.conv.0.0.weight'
    """
    for pattern, replacement in OLDER:
        name = re.sub(f"^{pattern}$", replacement, name)
    return name


def detector_tensors(model):
    """List every tensor in torchvision's state dict of a detector.

    Args:
        model: `FasterRCNN` on one of torchvision's backbones.

    Returns:
        list of `TorchTensor`.
    """
    body = [
        tensor
        for layer in model.backbone.layers
        for tensor in layer_tensors(layer, f"backbone.body.{layer.name.removeprefix('features.')}")
    ]
    pyramid = model.backbone.get_layer("fpn")
    return [
        *body,
        *_blocks("backbone.fpn.inner_blocks.", pyramid.lateral, pyramid.lateral_norms),
        *_blocks("backbone.fpn.layer_blocks.", pyramid.output_convs, pyramid.output_norms),
        *_rpn(model.rpn),
        *_head(model.head, model.arguments["pool_size"]),
    ]


def _blocks(path, convs, norms):
    tensors = []
    for index, conv in enumerate(convs):
        tensors += layer_tensors(conv, f"{path}{index}.0")
        if norms:
            tensors += layer_tensors(norms[index], f"{path}{index}.1")
    return tensors


def _rpn(rpn):
    return [
        *(
            tensor
            for index, conv in enumerate([rpn.conv, *rpn.further_convs])
            for tensor in layer_tensors(conv, f"rpn.head.conv.{index}.0")
        ),
        *layer_tensors(rpn.class_conv, "rpn.head.cls_logits"),
        *layer_tensors(rpn.box_conv, "rpn.head.bbox_pred"),
    ]


def _head(head, bins):
    first, *others = head.dense_layers
    # Layers have names without convolutions and numbers with them; layers without weights count too.
    path = "roi_heads.box_head."
    names = [f"{path}fc{index}" for index in range(6, 6 + len(head.dense_layers))]
    if head.convs:
        names = [f"{path}{len(head.convs) + 1 + 2 * index}" for index in range(len(head.dense_layers))]
    return [
        *_blocks(path, head.convs, head.norms),
        *flattened_dense(first, names[0], bins),
        *(tensor for layer, name in zip(others, names[1:]) for tensor in layer_tensors(layer, name)),
        *layer_tensors(head.class_dense, "roi_heads.box_predictor.cls_score"),
        *layer_tensors(head.box_dense, "roi_heads.box_predictor.bbox_pred"),
    ]
