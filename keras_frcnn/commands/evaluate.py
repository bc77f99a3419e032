"""`python evaluate.py`: score a detector by the rules of PASCAL VOC and COCO."""

import dataclasses
import sys
from pathlib import Path

import tyro

from keras_frcnn import evaluation
from keras_frcnn.callbacks.progress import ImageLines
from keras_frcnn.commands.detectors import load_detector, load_proposals
from keras_frcnn.commands.failures import in_one_sentence
from keras_frcnn.commands.outputs import check_json
from keras_frcnn.commands.reading import ReadingOptions
from keras_frcnn.commands.reporting import check_report, load_other, report_detector
from keras_frcnn.data.splitting import split_off
from keras_frcnn.files import write_json
from keras_frcnn.report import write_report_json


@dataclasses.dataclass(frozen=True, kw_only=True)
class Evaluation(ReadingOptions):
    """Measure a detector on a data set by the rules of PASCAL VOC and COCO."""

    model: Path
    """A .keras file, the folder of an export, an exported .onnx, .tflite or OpenVINO .xml file, or the name
    of a preset."""
    data: tyro.conf.UseAppendAction[tuple[str, ...]]
    """Data set, such as voc:ROOT@SPLIT, folder:ROOT@SPLIT or coco:FILE.json@IMAGES; several are joined."""
    proposals: tyro.conf.UseAppendAction[tuple[Path, ...]] = ()
    """Folder of proposals, for a model with external proposals; by default it runs selective search."""
    val_split: float | None = None
    """Share of the images that `train.py --val-split` held out of the same set; only these are measured."""
    tta: bool = False
    """Test-time augmentation: merge the detections from several scales and mirrored images."""
    tiles: int = 0
    """Side of overlapping square tiles to detect in besides the whole image, pixels; 0 for none."""
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
        The dict from `evaluation.evaluate`; with --report, that from `report.write_report`.
    """
    run = tyro.cli(Evaluation, args=sys.argv[1:] if arguments is None else list(arguments))
    # Check all inputs before the minutes of work.
    dataset = run.load(run.data)
    if run.val_split is not None:
        _, dataset = split_off(dataset, run.val_split)
    detector = load_detector(run.model)
    if run.proposals:
        if not detector.needs_proposals:
            raise ValueError(f"{run.model} makes its own proposals; leave --proposals out.")
        dataset = dataset.with_proposals(load_proposals(run.proposals))
    if run.tta:
        if detector.only_proposals:
            raise ValueError(f"{run.model} is an RPN, whose proposals are not merged; leave --tta out.")
        detector = evaluation.TestTimeAugmentation(detector)
    if run.tiles and run.tta:
        raise ValueError("--tiles and --tta do not go together; leave one of them out.")
    if run.tiles:
        detector = evaluation.TiledDetection(detector, run.tiles)
    check_json(run.json)
    title = f"{run.model} on {dataset.name}"
    if run.report:
        if detector.only_proposals:
            raise ValueError(f"{run.model} is an RPN, whose proposals have no classes; leave --report out.")
        check_report(run.report)
        other = load_other(run.against, dataset) if run.against else None
        results = report_detector(run.report, title, detector, dataset, other)
    elif run.against:
        raise ValueError("--against compares in a report; name its folder with --report.")
    else:
        results = evaluation.evaluate(detector, dataset, ImageLines("evaluation"))
    print(f"{title}\n")
    print(evaluation.report(results))
    if run.report:
        print(f"\nThe report is in {run.report / 'report.html'}")
    if run.json:
        write = write_report_json if run.report else write_json
        write(run.json, results)
    return results
