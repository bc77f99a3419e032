"""Which parts of the network can learn at all."""

import math

from keras_frcnn.doctor.case import Case
from keras_frcnn.doctor.findings import Finding, Result, Skipped
from keras_frcnn.models import Detector, SPPNet

UNFREEZE = "--config FILE, with `detector: {frozen_stages: 2}` in FILE"


def check_frozen(case: Case) -> Result:
    """Look for parts of the new and of the trained model whose weights do not train."""
    models = [case.model] if isinstance(case.model, Detector) else []
    models += [case.fresh] if case.recipe and case.train else []
    if not models:
        raise Skipped("the model is an export" if case.model is not None else case.lacking("recipe", "train"))
    figure, found = "", []
    for model in models:
        every = sum(map(_size, model.weights))
        trains = sum(map(_size, model.trainable_weights))
        figure = f"{trains:,} of {every:,} weights train"
        if not trains:
            found.append(_finding(case, 0.98, "Nothing trains: every layer of the model is frozen", figure))
            continue
        parts = {"rpn": getattr(model, "rpn", None)}
        parts |= {head.name: head for head in model.detection_heads()}
        still = [name for name, part in parts.items() if part is not None and not part.trainable_weights]
        stages = model.backbone_info.stages
        names = {name for stage in stages for name in stage}
        layers = [layer for layer in model.backbone.layers if layer.weights]
        layers = [layer for layer in layers if layer.name in names or not names]
        if still:
            what = (
                f"The new part{'s' * (len(still) > 1)} {', '.join(still)} of the model cannot learn: frozen"
            )
            found.append(_finding(case, 0.95, what, figure))
        # SPPNet's convolutions are frozen by method: its pyramid passes no gradient on.
        elif layers and not isinstance(model, SPPNet) and not any(one.trainable_weights for one in layers):
            what = "The whole backbone is frozen, so its features cannot adapt to the pictures"
            found.append(_finding(case, 0.74, what, f"{figure}, none of the backbone's"))
    return Result(figure, found[:1])


def _finding(case, likelihood, what, figure):
    return Finding(
        "frozen layers",
        likelihood,
        f"{what}; set `trainable` to True on it, or lower frozen_stages.",
        figure,
        case.retrain(UNFREEZE),
    )


def _size(weight):
    return math.prod(weight.shape)
