"""Whether the anchors cover the objects."""

from keras_frcnn.checking.anchor_coverage import best_anchor_iou, better_factor, resized_objects, scaled
from keras_frcnn.doctor.case import Case
from keras_frcnn.doctor.findings import Finding, Result, Skipped
from keras_frcnn.models import Detector
from keras_frcnn.models.proposing_detector import ProposingDetector

# With the defaults of mobilenet_v2_fpn, tiny_fpn and resnet50_fpn, 0.61 to 1 of the objects of BCCD, raccoon,
# VOC, COCO (from 480 pixels on) and the shapes have an anchor of this IoU; with anchors 8 times as large 0 to
# 0.2 have.
COVERED_IOU = 0.5
FEWEST_COVERED = 0.5
# Other anchors must cover so many more of the objects.
GAIN = 0.2


def check_anchors(case: Case) -> Result:
    """Measure the IoU of each object with its best anchor, after the resize."""
    dataset = case.tried if case.train is None else case.train
    assert dataset is not None
    model = case.model if isinstance(case.model, Detector) else case.fresh
    if not isinstance(model, ProposingDetector):
        raise Skipped("the model has no anchors")
    boxes, shapes = resized_objects(dataset, model.image_size)
    if not len(boxes):
        raise Skipped("no object counts")
    anchors = model.rpn.anchors
    border = model.arguments["rpn_cross_border"]
    best = best_anchor_iou(anchors, boxes, shapes, border)
    covered = float((best >= COVERED_IOU).mean())
    figure = (
        f"{covered:.0%} of {len(boxes)} objects have an anchor with an IoU of {COVERED_IOU}, mean "
        f"{best.mean():.2f}"
    )
    if covered >= FEWEST_COVERED:
        return Result(figure)
    factor = better_factor(anchors, boxes, shapes, border)
    # It tries factors up to 16, and anchors may be further off.
    factor *= better_factor(scaled(anchors, factor), boxes, shapes, border)
    better = float((best_anchor_iou(scaled(anchors, factor), boxes, shapes, border) >= COVERED_IOU).mean())
    if better < covered + GAIN:
        return Result(f"{figure}; no other anchors are much better")
    sizes = [[round(side * factor, 1) for side in level] for level in anchors.sizes]
    word = "large" if factor < 1 else "small"
    return Result(
        figure,
        [
            Finding(
                "anchors",
                0.72 + 0.2 * (1 - covered),
                f"The anchors are too {word} for the objects of {dataset.name}; with anchors {factor:.2g} "
                f"times as large, {better:.0%} have one that fits.",
                figure,
                case.retrain(f"--config FILE, with `detector: {{anchor_sizes: {sizes}}}` in FILE"),
            )
        ],
    )
