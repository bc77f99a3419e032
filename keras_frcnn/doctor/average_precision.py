"""Whether the model finds the objects of its set; a poor one is the sign of a fault, not its cause."""

import dataclasses

from keras_frcnn.doctor.case import LEAST_STEPS, Case
from keras_frcnn.doctor.findings import SYMPTOM, Finding, Result, Skipped
from keras_frcnn.doctor.head_confusion import judged_objects
from keras_frcnn.doctor.matching import model_labels
from keras_frcnn.doctor.run_log import losses
from keras_frcnn.evaluation import voc

# Healthy runs of minutes have 0.88 to 0.92 (shapes, BCCD, raccoon); the weakest published detector has 0.228
# on COCO, averaged over all IoUs.
POOR = 0.2
# The loss still falls if the second half of the epochs took so large a part off it.
FALLING = 0.1
# What is left of the loss of the first epoch: healthy runs have 0.28 to 0.47; with each picture's objects on
# the next picture, 0.90.
HARDLY, FEWEST_EPOCHS = 0.8, 3
# Fewer pictures do not teach a network that begins with random weights to see.
FEW = 1000


def check_average_precision(case: Case) -> Result:
    """Score the detections of the sample, and say what else helps a model that finds little."""
    assert case.tried is not None and case.model is not None
    if getattr(case.model, "only_proposals", False):
        raise Skipped("an RPN knows no classes")
    names, known = case.tried.class_names, tuple(case.model.class_names)
    # Classes that the model does not know stay, behind its own: their objects are missed.
    every = (*known, *(name for name in names if name not in known))
    records = [case.tried.records[answer["place"]] for answer in case.answers]
    renumbered = [dataclasses.replace(each, labels=model_labels(each, names, every)) for each in records]
    found = voc.evaluate(case.answers, renumbered, every)["mean_ap"]
    missed, _ = judged_objects(case)
    figure = (
        f"AP50 is {found:.3f} on {len(records)} images of the {case.role_of_tried} set, and "
        f"{missed.mean():.0%} of their objects are taken for background"
    )
    if found >= POOR:
        return Result(figure)
    curve = losses(case)
    enough = len(curve) >= FEWEST_EPOCHS and case.updates >= LEAST_STEPS
    if enough and curve[-1] > HARDLY * curve[0]:
        fell = f"the loss went from {curve[0]:.3g} to {curve[-1]:.3g} in {len(curve)} epochs; {figure}"
        return Result(figure, [_nothing_learned(case, fell)])
    why, remedy, command = _advice(case, curve)
    sentence = f"The model finds little of {case.tried.name}, and {why}; {remedy}."
    return Result(figure, [Finding("average precision", SYMPTOM, sentence, figure, command)])


def _nothing_learned(case, figure):
    return Finding(
        "annotations",
        0.46,
        "Training hardly lowered the loss, as if the objects were those of other pictures, many were not "
        f"annotated, or classes were drawn by lot; see whether they lie where they should in {case.output}.",
        figure,
        case.check_data("training" if case.train is not None else case.role_of_tried),
    )


def _advice(case, curve):
    """What may help where no fault is seen: why, what to do, and the command."""
    half, last = (curve[(len(curve) - 1) // 2], curve[-1]) if curve else (0.0, 0.0)
    if len(curve) > 1 and last < (1 - FALLING) * half:
        why = f"its loss still fell from {half:.3g} to {last:.3g} in the second half of {len(curve)} epochs"
        return why, "train longer", case.retrain_longer()
    if case.recipe is None or case.train is None:
        return "nothing shows why", "train it on pictures like these", case.retrain_on(train=["SPEC"])
    random = case.recipe.backbone_weights == "none" and case.initial is None
    if random and len(case.train) < FEW:
        why = f"{len(case.train)} images are few for a network that begins with random weights"
        return why, "begin with pretrained ones", case.retrain("--backbone-weights imagenet")
    if len(curve) < 2:
        return "it trained briefly", "train longer", case.retrain_longer()
    why = f"its loss no longer falls ({half:.3g} after half of {len(curve)} epochs, {last:.3g} at the end)"
    return why, "give it more pictures, or larger ones", case.retrain_on(train=["SPEC"])
