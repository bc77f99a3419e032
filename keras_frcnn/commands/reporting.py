"""What `evaluate.py --report` adds: checks before the work, proposals, data warnings, the report."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from keras_frcnn import evaluation
from keras_frcnn.callbacks.progress import ImageLines
from keras_frcnn.checking.objects import class_findings
from keras_frcnn.checking.quick import quick_report
from keras_frcnn.data import DetectionDataset
from keras_frcnn.detects import Detects
from keras_frcnn.evaluation import per_image
from keras_frcnn.files import read_text
from keras_frcnn.models import Detector
from keras_frcnn.models.proposing_detector import ProposingDetector
from keras_frcnn.report import write_report


def check_report(folder: Path) -> None:
    """Reject a file as the value of --report, and create the folder.

    Raises:
        ValueError: it is a file.
    """
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"--report {folder} is a file; name a folder.")
    folder.mkdir(parents=True, exist_ok=True)


def load_other(file: Path, dataset: DetectionDataset) -> dict[str, Any]:
    """Load the JSON of another model's report on the same set.

    Args:
        file: `report.json` of a report, or what --json wrote with --report.
        dataset: the set.

    Returns:
        dict, as `report.write_report` gave it.

    Raises:
        ValueError: the file is no such JSON, or is about another set.
    """
    try:
        other = json.loads(read_text(file))
        per_image.from_json(other, dataset.records, dataset.class_names)
        if not isinstance(other["title"], str) or not 0 <= other["operating_point"]["threshold"] <= 1:
            raise TypeError
    except json.JSONDecodeError as error:
        raise ValueError(f"--against {file} is not JSON ({error}); name a report's report.json.") from None
    except ValueError as error:
        raise ValueError(f"--against {file} cannot be compared with ({error}).") from None
    except (LookupError, TypeError, AttributeError):
        raise ValueError(
            f"--against {file} is no report.json of a report; write one with evaluate.py --report."
        ) from None
    return other


def report_detector(
    folder: Path, title: str, detector: Detects, dataset: DetectionDataset, other: dict[str, Any] | None
) -> dict[str, Any]:
    """Run a detector and write the report about it.

    Args:
        folder: folder of the report.
        title: str, what is evaluated on what.
        detector: any but an `RPN`.
        dataset: the set.
        other: dict from `load_other`, or None.

    Returns:
        dict from `report.write_report`.
    """
    found = evaluation.detect_set(detector, dataset, ImageLines("evaluation"))
    return write_report(
        folder,
        evaluation.score_found(found, dataset),
        found,
        dataset,
        title,
        proposals=_proposal_recall(detector, dataset),
        warnings=_data_warnings(detector, dataset),
        other=other,
        progress=ImageLines("pictures"),
    )


def _proposal_recall(detector, dataset):
    """Recall of what the RPN proposes; None for a detector without one."""
    if not isinstance(detector, ProposingDetector):
        return None
    progress, boxes = ImageLines("proposals"), []
    for image in dataset.images():
        boxes.append(detector.propose(np.asarray(image))["boxes"])
        progress(len(boxes), len(dataset))
    return evaluation.proposal_recall.recall_curve(boxes, dataset.records)


def _data_warnings(detector, dataset):
    """What should be looked at in the set; an export has no anchors to compare with."""
    if isinstance(detector, Detector):
        return quick_report(dataset, None, detector, trains=False)
    return [f"Note: {finding.line()}." for finding in class_findings(dataset, trains=False) if finding.remedy]
