"""`python -m keras_frcnn check-data`: what is wrong in data sets."""

import dataclasses
import sys
from pathlib import Path

import tyro

from keras_frcnn.callbacks.progress import ImageLines
from keras_frcnn.checking import clean_copy, findings, statistics
from keras_frcnn.checking.check import check, check_pairs, strays
from keras_frcnn.commands.failures import in_one_sentence
from keras_frcnn.commands.outputs import check_json
from keras_frcnn.commands.reading import AnnotationOptions
from keras_frcnn.data.readers.assembly import Reading
from keras_frcnn.files import write_json
from keras_frcnn.models.proposing_detector import ProposingDetector
from keras_frcnn.training import recipe_files
from keras_frcnn.training.recipe import Recipe


@dataclasses.dataclass(frozen=True, kw_only=True)
class Check(AnnotationOptions):
    """Read and decode everything, and list what is wrong by file and object.

    The exit status is 0 if nothing is wrong, 1 if something is doubtful, 2 if training would stop.
    """

    specs: tyro.conf.Positional[tuple[str, ...]]
    """Data sets, the training set first, such as voc:ROOT@train voc:ROOT@val; no picture should be in two."""
    fix: Path | None = None
    """Folder for a clean copy of what is right, with a list of the changes."""
    json: Path | None = None
    """File to write everything to."""
    plot: Path | None = None
    """Image file for the distributions of the first set, such as statistics.png."""
    recipe: str | None = None
    """Recipe whose anchors are compared with the objects; by default that of `train.py`."""
    image_size: tuple[int, int] | None = None
    """Short side and limit of the long side that training will resize to, pixels."""


@in_one_sentence
def main(arguments=None):
    """Run the command; a finding ends the process with status 1 or 2.

    Args:
        arguments: list of command-line arguments; by default those of the process.

    Returns:
        The dict that `--json` writes.
    """
    run = tyro.cli(Check, args=sys.argv[1:] if arguments is None else list(arguments))
    check_json(run.json)
    if run.plot:
        statistics.check_plot(run.plot)
    if run.fix:
        clean_copy.check_folder(run.fix)
    size, anchors, cross_border = _detector(run)
    reading = Reading(run.missing_annotation, allow_outside=run.allow_outside)
    sets = []
    for place, spec in enumerate(run.specs):
        progress = ImageLines(f"checking {spec}")
        sets.append(check(spec, reading, size, anchors, cross_border, progress, trains=place == 0))
    for checked in sets:
        print(statistics.report(checked.figures) if checked.figures else checked.spec)
        print(f"\n{findings.report(checked.findings)}")
    shared = [*check_pairs(sets), *strays(sets)]
    if shared:
        print(f"All sets together\n\n{findings.report(shared)}")
    content = {
        "sets": [
            {**checked.figures, "name": checked.spec, "findings": findings.as_json(checked.findings)}
            for checked in sets
        ],
        "together": findings.as_json(shared),
    }
    if run.plot and sets[0].dataset and sets[0].dataset.records:
        statistics.plot(sets[0].dataset, sets[0].anchors, run.plot)
        print(f"The distributions are in {run.plot}")
    if run.fix:
        print(clean_copy.write(sets, run.fix, shared))
    if run.json:
        write_json(run.json, content)
    status = findings.status([*shared, *(finding for checked in sets for finding in checked.findings)])
    if status:
        sys.exit(status)
    return content


def _detector(run):
    """The size of images, the anchors, and whether these may cross the border, of the recipe."""
    recipe = recipe_files.load(run.recipe) if run.recipe else Recipe()
    if run.image_size:
        recipe = dataclasses.replace(recipe, image_size=run.image_size)
    model = dataclasses.replace(recipe, backbone_weights="none").build(["object"])
    if not isinstance(model, ProposingDetector):
        raise ValueError(f"The recipe {run.recipe} has no anchors; name one of faster_rcnn or rpn.")
    return model.image_size, model.rpn.anchors, model.arguments["rpn_cross_border"]
