"""`python -m keras_frcnn proposals`: write the proposals of a data set, and measure their recall."""

import dataclasses
import hashlib
import json
import os
import sys
from pathlib import Path
from typing import Literal

import tyro

from keras_frcnn.callbacks.progress import ImageLines
from keras_frcnn.commands.detectors import is_preset, load_detector
from keras_frcnn.commands.failures import in_one_sentence
from keras_frcnn.commands.reading import ReadingOptions
from keras_frcnn.data import proposals
from keras_frcnn.data.selective_search import selective_search
from keras_frcnn.evaluation import proposal_recall
from keras_frcnn.files import write_json
from keras_frcnn.models.proposing_detector import ProposingDetector


@dataclasses.dataclass(frozen=True, kw_only=True)
class Proposals(ReadingOptions):
    """Write the proposals of selective search, or of a trained RPN, for all images of a data set."""

    data: tyro.conf.UseAppendAction[tuple[str, ...]]
    """Data set, such as voc:ROOT@SPLIT, folder:ROOT@SPLIT or coco:FILE.json@IMAGES; several are joined."""
    output: Path
    """Folder for the proposals and their recall. A new run continues an interrupted one."""
    mode: Literal["fast", "quality"] = "fast"
    """Mode of selective search; quality takes four times as long and finds more."""
    model: Path | None = None
    """A .keras file of a model with an RPN, or the name of a preset, which makes the proposals instead."""
    top: int = 2000
    """Maximum number of proposals per image."""
    workers: int = os.cpu_count() or 1
    """Number of images that selective search processes in parallel."""


@in_one_sentence
def main(arguments=None):
    """Run the command.

    Args:
        arguments: list of command-line arguments; by default those of the process.

    Returns:
        The dict from `evaluation.proposal_recall.recall_curve`.
    """
    run = tyro.cli(Proposals, args=sys.argv[1:] if arguments is None else list(arguments))
    for name in ("top", "workers"):
        if getattr(run, name) < 1:
            raise ValueError(f"--{name} is {getattr(run, name)}; give at least 1.")
    dataset = run.load(run.data)
    propose = _proposer(run)
    _settle(run, len(dataset))
    # A network already uses all cores for each image.
    proposals.write(run.output, dataset, propose, 1 if run.model else run.workers, ImageLines())

    found = proposals.load(run.output)
    boxes = [found[str(record.image_id)] for record in dataset.records]
    curve = proposal_recall.recall_curve(boxes, dataset.records)
    name = run.model.name if run.model else f"selective search, {run.mode}"
    print(f"\n{name} on {dataset.name}\n\n{proposal_recall.report(curve)}")
    write_json(run.output / "recall.json", curve)
    proposal_recall.plot({name: curve}, run.output / "recall.png")
    return curve


def _proposer(run):
    """Return a function from an image to its proposals."""
    if run.model is None:
        return lambda image: selective_search(image, run.mode, run.top)
    model = load_detector(run.model)
    if not isinstance(model, ProposingDetector):
        raise ValueError(
            f"{run.model} has no RPN; give a .keras file of an RPN, a FasterRCNN or a CascadeRCNN."
        )
    # At test time an RPN returns few proposals; in training, as many as selective search.
    many = run.top > model.arguments["rpn_post_nms"][1]
    return lambda image: model.propose(image, run.top, training=many)["boxes"]


def _settle(run, images):
    """Record the settings of the proposals in their folder; reject a folder with other settings."""
    settings = {"data": list(run.data), "images": images, "top": run.top}
    if run.model and is_preset(run.model):
        settings["model"] = str(run.model)  # the name stands for its weights
    elif run.model:
        # Hash the contents, because the next training run may write other weights to the same name.
        with open(run.model, "rb") as file:
            settings["model"] = hashlib.file_digest(file, "sha256").hexdigest()
    else:
        settings["mode"] = run.mode
    file = run.output / "proposals.json"
    remedy = "name another folder with --output, or remove this one"
    if file.is_file():
        try:
            before = dict(json.loads(file.read_text(encoding="utf-8")))
        except (ValueError, TypeError):
            raise ValueError(f"{file} does not tell how its proposals were made; {remedy}.") from None
        other = [key for key in {**before, **settings} if before.get(key) != settings.get(key)]
        if other:
            raise ValueError(f"{file} differs from this run in {', '.join(other)}; {remedy}.")
    elif any(run.output.glob("[!.]*.npz")):
        raise ValueError(f"{run.output} has proposals, but no {file.name} that tells of them; {remedy}.")
    else:
        run.output.mkdir(parents=True, exist_ok=True)
        write_json(file, settings)
