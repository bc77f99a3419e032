"""`python evaluate.py`: score a detector by the rules of PASCAL VOC and COCO."""

import dataclasses
import json
import sys
from pathlib import Path

import numpy as np
import tyro

from keras_frcnn import evaluation, report
from keras_frcnn.callbacks.progress import ImageLines
from keras_frcnn.checking.objects import class_findings
from keras_frcnn.checking.quick import quick_report
from keras_frcnn.commands.detectors import load_detector, load_proposals
from keras_frcnn.commands.failures import in_one_sentence
from keras_frcnn.commands.outputs import check_json
from keras_frcnn.commands.reading import ReadingOptions
from keras_frcnn.files import read_text, write_json
from keras_frcnn.models import Detector
from keras_frcnn.models.proposing_detector import ProposingDetector


@dataclasses.dataclass(frozen=True, kw_only=True)
class Evaluation(ReadingOptions):
    """Measure a detector on a data set by the rules of PASCAL VOC and COCO."""

    model: Path
    """A .keras file, or the folder of a SavedModel."""
    data: tyro.conf.UseAppendAction[tuple[str, ...]]
    """Data set, such as voc:ROOT@SPLIT or coco:INSTANCES.json@IMAGE_FOLDER; several are joined."""
    proposals: tyro.conf.UseAppendAction[tuple[Path, ...]] = ()
    """Folder of proposals, for a model with external proposals; by default it runs selective search."""
    tta: bool = False
    """Test-time augmentation: merge the detections from several scales and mirrored images."""
    json: Path | None = None
    """File to write the scores to, as fractions of 1; with --report, everything in it."""
    report: Path | None = None
    """Folder for a page about the detector: numbers with intervals, errors by kind, pictures of the worst."""
    against: Path | None = None
    """`report.json` of another model on the same data, or what --json wrote beside it, to compare with."""


@in_one_sentence
def main(arguments=None):
    """Run the command.

    Args:
        arguments: list of command-line arguments; by default those of the process.

    Returns:
        The dict from `evaluation.evaluate`.
    """
    run = tyro.cli(Evaluation, args=sys.argv[1:] if arguments is None else list(arguments))
    # Check all inputs before the minutes of work.
    dataset = run.load(run.data)
    detector = load_detector(run.model)
    if run.proposals:
        if not detector.needs_proposals:
            raise ValueError(f"{run.model} makes its own proposals; leave --proposals out.")
        dataset = dataset.with_proposals(load_proposals(run.proposals))
    if run.tta:
        if detector.only_proposals:
            raise ValueError(f"{run.model} is an RPN, whose proposals are not merged; leave --tta out.")
        detector = evaluation.TestTimeAugmentation(detector)
    check_json(run.json)
    title = f"{run.model} on {dataset.name}"
    if run.report:
        other = check_report(run, detector)
        results = write_report(run.report, title, detector, dataset, other)
    else:
        if run.against:
            raise ValueError("--against compares in a report; name its folder with --report.")
        results = evaluation.evaluate(detector, dataset, ImageLines("evaluation"))
    print(f"{title}\n")
    print(evaluation.report(results))
    if run.report:
        print(f"\nThe report is in {run.report / 'report.html'}")
    if run.json:
        write = report.write_report_json if run.report else write_json
        write(run.json, results)
    return results


def check_report(run, detector):
    """Reject what cannot be reported or compared, and read the other report; None for none."""
    if detector.only_proposals:
        raise ValueError(f"{run.model} is an RPN, whose proposals have no classes; leave --report out.")
    if run.report.exists() and not run.report.is_dir():
        raise ValueError(f"--report {run.report} is a file; name a folder.")
    if run.against is None:
        return None
    try:
        other = json.loads(read_text(run.against))
    except json.JSONDecodeError as error:
        raise ValueError(
            f"--against {run.against} is not JSON ({error}); name a report's report.json."
        ) from None
    if not isinstance(other, dict) or "per_image" not in other:
        raise ValueError(
            f"--against {run.against} has no results of single images; name the report.json of a report."
        )
    return other


def write_report(folder, title, detector, dataset, other):
    """Run the detector, write the report, and return what its JSON holds."""
    found = evaluation.detect_set(detector, dataset, ImageLines("evaluation"))
    proposals = None
    if isinstance(detector, ProposingDetector):
        progress = ImageLines("proposals")
        boxes = []
        for image in dataset.images():
            boxes.append(detector.propose(np.asarray(image))["boxes"])
            progress(len(boxes), len(dataset))
        proposals = evaluation.proposal_recall.recall_curve(boxes, dataset.records)
    return report.write_report(
        folder,
        evaluation.score_found(found, dataset),
        found,
        dataset,
        title,
        proposals=proposals,
        warnings=data_warnings(detector, dataset),
        other=other,
        progress=ImageLines("pictures"),
    )


def data_warnings(detector, dataset):
    """What should be looked at in the set; an export has no anchors to compare with."""
    if isinstance(detector, Detector):
        return quick_report(dataset, None, detector)
    return [f"Note: {finding.line()}." for finding in class_findings(dataset) if finding.remedy]
