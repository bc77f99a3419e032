"""Whether the model's own settings throw its detections away."""

import numpy as np

from keras_frcnn.doctor.case import Case
from keras_frcnn.doctor.findings import Finding, Result, Skipped
from keras_frcnn.doctor.matching import best_scores
from keras_frcnn.export.served_detector import ServedDetector

# The default of all models.
USUAL = 0.05
# Above this, a threshold is suspicious even if no trained model shows it.
HIGH = 0.8
# Share of the objects found with the usual threshold that the model's own may lose.
MOST_LOST = 0.3


def check_score_threshold(case: Case) -> Result:
    """Count the objects whose detections score between the usual threshold and the model's own."""
    threshold = _threshold(case)
    figure = f"the score threshold is {threshold:g}"
    if threshold <= USUAL:
        return Result(figure)
    lost = None
    if case.model is not None and case.tried is not None and not isinstance(case.model, ServedDetector):
        records = [case.tried.records[answer["place"]] for answer in case.answers]
        scores = np.concatenate(
            [best_scores(answer, record)[0] for answer, record in zip(case.answers, records)]
        )
        found = scores > USUAL
        if found.any():
            lost = float((scores[found] <= threshold).mean())
            figure += f"; it loses {lost:.0%} of the {found.sum()} objects that score above {USUAL}"
    if threshold < HIGH and (lost is None or lost < MOST_LOST):
        return Result(figure)
    return Result(
        figure,
        [
            Finding(
                "score threshold",
                0.72 + 0.2 * (1.0 if lost is None else lost),
                f"The model drops detections that score below {threshold:g}, and with them most objects; "
                f"set its score_threshold to {USUAL}.",
                figure,
                f"keras_frcnn.export.saved_model(model, PATH, score_threshold={USUAL}), or "
                + case.retrain(f"--config FILE, with `detector: {{score_threshold: {USUAL}}}` in FILE"),
            )
        ],
    )


def _threshold(case):
    if isinstance(case.model, ServedDetector):
        return float(case.model.description.get("score_threshold", USUAL))
    model = case.model if case.model is not None else case.fresh
    arguments = getattr(model, "arguments", {})
    if "score_threshold" not in arguments:
        raise Skipped("the model has no score threshold")
    return float(arguments["score_threshold"])
