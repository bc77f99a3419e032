"""Recall of proposals before and after training."""

import numpy as np

from keras_frcnn.doctor.case import Case
from keras_frcnn.doctor.findings import Finding, Result, Skipped
from keras_frcnn.evaluation.proposal_recall import recall_curve
from keras_frcnn.models.proposing_detector import ProposingDetector

IMAGES, TOP, IOU = 16, 300, 0.5
# Trained for minutes only, the runs of BCCD, raccoon and the shapes have at least 0.9.
ENOUGH = 0.5


def check_proposals(case: Case) -> Result:
    """Measure which share of the objects the proposals of the new and of the trained model reach."""
    if not isinstance(case.model, ProposingDetector) or case.tried is None:
        raise Skipped("the model proposes no regions, or is an export")
    after = _recall(case, case.model)
    figure = f"the best {TOP} proposals reach {after:.0%} of the objects"
    if case.recipe is not None:
        before = _recall(case, case.fresh)
        figure += f", {before:.0%} before training"
    if after >= ENOUGH:
        return Result(figure)
    return Result(
        figure,
        [
            Finding(
                "proposals",
                0.42,
                "The region proposal network finds few objects, so the head cannot either; train longer, "
                "and check anchors and image_size.",
                figure,
                case.retrain_longer(),
            )
        ],
    )


def _recall(case, model):
    assert case.tried is not None
    places = case.sample[:IMAGES]
    proposals = [model.propose(np.asarray(case.tried.image(place)), top=TOP)["boxes"] for place in places]
    records = [case.tried.records[place] for place in places]
    return recall_curve(proposals, records, counts=(TOP,), ious=(IOU,))["recall"][str(IOU)][0]
