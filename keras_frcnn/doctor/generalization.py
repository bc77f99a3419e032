"""Whether the model finds on the validation set what it finds on the training set."""

import numpy as np

from keras_frcnn.doctor.case import Case
from keras_frcnn.doctor.findings import Finding, Result, Skipped
from keras_frcnn.doctor.matching import best_scores, model_labels

IMAGES = 12
# Shares of the objects that are found: at most the one in validation, at least the other in training.
POOR, GOOD = 0.3, 0.6
# A detection below this score finds nothing.
SURE = 0.3


def check_generalization(case: Case) -> Result:
    """Compare the share of objects that are found, with their class, in the two sets."""
    if case.train is None or case.val is None or case.tried is not case.val or case.patient.needs_proposals:
        raise Skipped("there is no trained model with a training and a validation set")
    if getattr(case.model, "only_proposals", False):
        raise Skipped("an RPN knows no classes")
    names = tuple(case.patient.class_names)
    answers = case.answers[:IMAGES]
    records = [case.val.records[answer["place"]] for answer in answers]
    on_val = _found(answers, records, case.val.class_names, names)
    figure = f"{on_val:.0%} of the validation objects are found"
    if on_val > POOR:
        return Result(figure)
    places = [place for place, record in enumerate(case.train.records) if (~record.ignore).any()]
    if not places:
        raise Skipped("no training image has an object that counts")
    chosen = [places[at] for at in np.linspace(0, len(places) - 1, min(IMAGES, len(places))).astype(int)]
    answers = [case.patient.detect(np.asarray(case.train.image(place))) for place in chosen]
    on_train = _found(answers, [case.train.records[place] for place in chosen], case.train.class_names, names)
    figure += f", {on_train:.0%} of the training objects"
    if on_train < GOOD:
        raise Skipped(f"the model finds too little anywhere to compare: {figure}")
    return Result(
        figure,
        [
            Finding(
                "wrong split",
                0.8,
                f"The model finds what it was trained on ({case.train.name}), but hardly anything in "
                f"{case.val.name}: the sets have little to do with each other, or {len(case.train)} training "
                "images are too few; check the splits.",
                figure,
                case.retrain_on(train=["SPEC"], val=["SPEC"]),
            )
        ],
    )


def _found(answers, records, names, model_names):
    """Share of the objects that a sure detection of their class finds."""
    scores = [
        best_scores(answer, record, model_labels(record, names, model_names))[0]
        for answer, record in zip(answers, records)
    ]
    return float((np.concatenate(scores) >= SURE).mean())
