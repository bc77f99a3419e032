"""The part of the check that costs next to nothing, for the beginning of a training."""

import numpy as np

from keras_frcnn.checking.copies import TWICE, same_files
from keras_frcnn.checking.findings import Finding
from keras_frcnn.checking.objects import anchor_findings, box_findings, class_findings
from keras_frcnn.data import DetectionDataset
from keras_frcnn.data.splitting import part
from keras_frcnn.models import Detector
from keras_frcnn.models.proposing_detector import ProposingDetector

# Lines of the report, with the one that names the whole check.
MOST_LINES = 10
# Images, evenly spaced, whose boxes stand for those of all.
ENOUGH = 5000


def quick_report(
    train: DetectionDataset, val: DetectionDataset | None, model: Detector, trains: bool = True
) -> list[str]:
    """What should be looked at before a training or a measurement; no picture is decoded.

    Args:
        train, val: the sets; `val` may be None.
        model: the detector, for its image size and anchors.
        trains: whether the first set is trained on, and not only measured on.

    Returns:
        list of at most ten lines, each with a remedy; empty if there is nothing to tell.
    """
    indices = np.linspace(0, len(train) - 1, min(len(train), ENOUGH)).astype(int)
    some = part(train, indices.tolist(), train.name)
    findings = [*class_findings(train, trains), *box_findings(some, model.image_size)]
    if isinstance(model, ProposingDetector):
        cross_border = model.arguments["rpn_cross_border"]
        findings += anchor_findings(some, model.image_size, model.rpn.anchors, cross_border)[0]
    if val is not None and not any((~record.ignore).any() for record in val.records):
        text = "No object of the validation set counts, so its scores mean nothing"
        findings.append(Finding("warning", text, [], "Check its split and its annotations"))
    if val is not None:
        what = "of the validation set also in the training set"
        findings += Finding.count("warning", "picture", what, same_files(train, val), TWICE)
    lines = [f"Note: {finding.line()}." for finding in findings if finding.remedy]
    if lines:
        lines = lines[: MOST_LINES - 1]
        lines.append("`python -m keras_frcnn check-data` with the same sets tells more.")
    return lines
