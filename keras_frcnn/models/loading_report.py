"""What a detector is made of, and where its weights come from."""

import math

PREPROCESSING = {
    "caffe": "BGR less the ImageNet mean, 0 to 255",
    "torch": "RGB less the ImageNet mean over its deviation",
    "tf": "RGB, -1 to 1",
}


def loading_report(model, backbone):
    """Table of the parts of a detector; see `Detector.loading_report`.

    Args:
        model: `Detector`.
        backbone: the `Backbone` that gave the model its network.
    """
    layers = [layer for layer in backbone.layers() if hasattr(layer, "weights_source")]
    sources = {id(weight): layer.weights_source for layer in layers for weight in layer.weights}
    rows = []
    for part, layers in [*backbone.parts(), *_other_parts(model, backbone)]:
        names = layers[0].name if len(layers) == 1 else f"{layers[0].name} … {layers[-1].name}"
        # A part can have weights of two sources: the head of a ResNet is its last stage and two new predictors.
        weights_from = {}
        for weight in (weight for layer in layers for weight in layer.weights):
            source = "saved model" if model.restored else sources.get(id(weight), "new")
            weights_from.setdefault(source, []).append(weight)
        rows += [(part, weights, source, names) for source, weights in weights_from.items()]
    rows.append(("all", model.weights, "", ""))

    wide = [max(len(row[column]) for row in rows) for column in (0, 2)]
    wide[1] = max(wide[1], len("weights from"))
    lines = [f"{'part':{wide[0]}}  tensors  parameters   trainable  {'weights from':{wide[1]}}  layers"]
    for part, weights, source, names in rows:
        trainable = _size(weight for weight in weights if weight.trainable)
        line = f"{part:{wide[0]}}{len(weights):9,d}{_size(weights):12,d}{trainable:12,d}  {source:{wide[1]}}  {names}"
        lines.append(line.rstrip())
    preprocessing = model.pixels.preprocessing
    return "\n".join([*lines, f"Pixels, inside the model: {preprocessing!r} ({PREPROCESSING[preprocessing]})"])


def _other_parts(model, backbone):
    others = [layer for layer in model.layers if layer is not backbone.network and layer.weights]
    return [(layer.name, [layer]) for layer in others]


def _size(weights):
    return sum(math.prod(weight.shape) for weight in weights)
