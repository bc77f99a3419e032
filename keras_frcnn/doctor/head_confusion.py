"""What becomes of the objects in the head: background, another class, or found."""

import numpy as np

from keras_frcnn.doctor.case import Case
from keras_frcnn.doctor.findings import Finding, Result, Skipped
from keras_frcnn.doctor.matching import best_scores, model_labels

# A detection below this score counts as background.
SURE = 0.3
# Shares of objects. BCCD misses 0.08 and confuses 0; the shapes miss 0.07 and confuse 0.06.
MOST_MISSED = 0.7
MOST_CONFUSED = 0.6


def check_head(case: Case) -> Result:
    """Count the objects that end as background and as another class."""
    if getattr(case.model, "only_proposals", False):
        raise Skipped("an RPN has no head")
    missed, confused = judged_objects(case)
    figure = (
        f"of {len(missed)} objects, {missed.mean():.0%} end as background (score below {SURE}) and "
        f"{confused.mean():.0%} as another class"
    )
    if missed.mean() >= MOST_MISSED:
        what, weight = "takes most objects for background", 0.4
        why = "trained too shortly, on other objects, or on pictures where many objects are not annotated"
    elif confused.mean() >= MOST_CONFUSED * (1 - missed.mean()):
        what, weight = "takes most objects for another class", 0.45
        why = "trained too shortly, or on other objects"
    else:
        return Result(figure)
    return Result(
        figure,
        [
            Finding(
                "head",
                weight,
                f"The head {what}: it was {why}; train longer.",
                figure,
                case.retrain_longer(),
            )
        ],
    )


def judged_objects(case: Case) -> tuple[np.ndarray, np.ndarray]:
    """Which objects of the sample end as background, and which as another class: two bool arrays."""
    assert case.tried is not None and case.model is not None
    scores, seen, wanted = [np.zeros(0)], [np.zeros(0, int)], [np.zeros(0, int)]
    for answer in case.answers:
        record = case.tried.records[answer["place"]]
        surest, labels = best_scores(answer, record)
        own = model_labels(record, case.tried.class_names, tuple(case.model.class_names))
        scores.append(surest)
        seen.append(labels)
        wanted.append(own[~record.ignore])
    score, label, right = (np.concatenate(parts) for parts in (scores, seen, wanted))
    missed = score < SURE
    return missed, ~missed & (label != right)
