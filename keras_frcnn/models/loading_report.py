"""Report of the parts of a detector and the sources of their weights."""

import math

from keras_frcnn.trainable_flags import layers_by_path

PREPROCESSING = {
    "caffe": "BGR less the ImageNet mean, 0 to 255",
    "torch": "RGB less the ImageNet mean over its deviation",
    "tf": "RGB, -1 to 1",
    "none": "RGB, 0 to 255; the network normalizes",
}


def loading_report(model, backbone):
    """Format a table of the parts of a detector; see `Detector.loading_report`.

    Args:
        model: `Detector`.
        backbone: `Backbone` with the model's network.
    """
    heads = [layer for head in model.detection_heads() for _, layer in layers_by_path(head)]
    loaded = [layer for layer in [*backbone.layers(), *heads] if hasattr(layer, "weights_source")]
    sources = {id(weight): layer.weights_source for layer in loaded for weight in layer.weights}
    sources |= model.weight_origins
    rows = []
    for part, layers in [*backbone.parts(), *_other_parts(model, backbone)]:
        names = layers[0].name if len(layers) == 1 else f"{layers[0].name} … {layers[-1].name}"
        # A part can have two sources: the head of a ResNet is its last stage and two new predictors.
        weights_from = {}
        for weight in (weight for layer in layers for weight in layer.weights):
            source = "saved model" if model.restored else sources.get(id(weight), "new")
            weights_from.setdefault(source, []).append(weight)
        rows += [(part, weights, source, names) for source, weights in weights_from.items()]
    rows.append(("all", model.weights, "", ""))

    part_wide = max(len(part) for part, *_ in rows)
    source_wide = max(len("weights from"), *(len(source) for _, _, source, _ in rows))
    lines = [f"{'part':{part_wide}}  tensors  parameters   trainable  {'weights from':{source_wide}}  layers"]
    for part, weights, source, names in rows:
        trainable = _size(weight for weight in weights if weight.trainable)
        numbers = f"{len(weights):9,d}{_size(weights):12,d}{trainable:12,d}"
        lines.append(f"{part:{part_wide}}{numbers}  {source:{source_wide}}  {names}".rstrip())
    preprocessing = model.pixels.preprocessing
    lines.append(f"Pixels, inside the model: {preprocessing!r} ({PREPROCESSING[preprocessing]})")
    return "\n".join(lines)


def _other_parts(model, backbone):
    others = [layer for layer in model.layers if layer is not backbone.network and layer.weights]
    return [(layer.name, [layer]) for layer in others]


def _size(weights):
    return sum(math.prod(weight.shape) for weight in weights)
