"""All checks in order: cheap and decisive ones first."""

import dataclasses
from collections.abc import Callable, Iterator

from keras_frcnn.doctor.anchors import check_anchors
from keras_frcnn.doctor.average_precision import check_average_precision
from keras_frcnn.doctor.backbone_weights import check_backbone_weights
from keras_frcnn.doctor.box_format import check_box_format
from keras_frcnn.doctor.by_heart import check_by_heart
from keras_frcnn.doctor.case import Case
from keras_frcnn.doctor.channel_order import check_channel_order
from keras_frcnn.doctor.class_map import check_class_map
from keras_frcnn.doctor.fed_batch import draw_fed_batch
from keras_frcnn.doctor.findings import DECISIVE, Finding, Result, Skipped
from keras_frcnn.doctor.frozen import check_frozen
from keras_frcnn.doctor.generalization import check_generalization
from keras_frcnn.doctor.head_confusion import check_head
from keras_frcnn.doctor.input_time import check_input_time
from keras_frcnn.doctor.objects import check_class_names, check_objects
from keras_frcnn.doctor.proposals import check_proposals
from keras_frcnn.doctor.rate_range import check_rate
from keras_frcnn.doctor.run_log import check_run
from keras_frcnn.doctor.score_threshold import check_score_threshold
from keras_frcnn.doctor.spelling import check_spelling
from keras_frcnn.doctor.splits import check_splits


@dataclasses.dataclass(frozen=True)
class Check:
    """One check.

    Attributes:
        name: what it looks at.
        function: from a `Case` to a `Result`; it raises `Skipped` if it cannot be made.
        needs: attributes of the case without which it cannot be made.
        slow: whether a decisive finding makes it needless.
    """

    name: str
    function: Callable[[Case], Result]
    needs: tuple[str, ...] = ()
    slow: bool = False


TRAINING, TRYING = ("recipe", "train"), ("model", "tried")
CHECKS = (
    Check("objects", check_objects, ("sets",)),
    Check("class names", check_class_names, TRYING),
    Check("spelling", check_spelling, ("sets",)),
    Check("box format", check_box_format, ("sets",)),
    Check("splits", check_splits, ("train",)),
    Check("run", check_run),
    Check("backbone weights", check_backbone_weights, TRAINING),
    Check("frozen layers", check_frozen),
    Check("anchors", check_anchors, ("sets",)),
    Check("batch as fed", draw_fed_batch, TRAINING),
    Check("score threshold", check_score_threshold),
    Check("labels", check_class_map, TRYING),
    Check("channel order", check_channel_order, TRYING),
    Check("proposals", check_proposals, TRYING),
    Check("head", check_head, TRYING),
    Check("generalization", check_generalization, TRYING),
    Check("average precision", check_average_precision, TRYING),
    Check("learning by heart", check_by_heart, TRAINING, slow=True),
    Check("learning rate", check_rate, TRAINING, slow=True),
    Check("input time", check_input_time, TRAINING, slow=True),
)


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What became of a check.

    Attributes:
        name: of the check.
        figure: what was measured; why it was skipped, if it was.
        findings: list of `Finding`.
        skipped: whether it was not made.
    """

    name: str
    figure: str
    findings: list[Finding]
    skipped: bool = False


def examine(case: Case, sentence_of: Callable[[Exception], str | None], checks=CHECKS) -> Iterator[Outcome]:
    """Make all checks.

    Args:
        case: `Case`.
        sentence_of: function from an exception to the sentence with which the package refuses its input, or
            None for any other exception.
        checks: the `Check`s, in order.

    Yields:
        `Outcome` of each check, as it is done.
    """
    decisive = any(finding.likelihood >= DECISIVE for finding in case.refusals)
    for check in checks:
        lacking = case.lacking(*check.needs)
        if lacking or (check.slow and decisive):
            yield Outcome(check.name, lacking or "the cause is found already", [], True)
            continue
        outcome = _outcome(check, case, sentence_of)
        decisive |= any(finding.likelihood >= DECISIVE for finding in outcome.findings)
        yield outcome


def _outcome(check, case, sentence_of):
    try:
        result = check.function(case)
    except Skipped as reason:
        return Outcome(check.name, str(reason), [], True)
    except Exception as error:  # what is no refusal of this package is raised again
        sentence = sentence_of(error)
        if sentence is None:
            raise
        refusal = Finding(
            check.name, 0.96, sentence, f"the check of {check.name} was refused", case.retrain("")
        )
        return Outcome(check.name, sentence, [refusal])
    return Outcome(check.name, result.figure, result.findings)
