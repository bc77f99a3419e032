"""`python -m keras_frcnn show`: draw what happens inside a detector, as the papers do."""

import dataclasses
import sys
from pathlib import Path
from typing import Literal

import numpy as np
import tyro

from keras_frcnn import images as image_ops
from keras_frcnn.commands.detectors import load_detector
from keras_frcnn.commands.failures import in_one_sentence
from keras_frcnn.commands.reading import ReadingOptions
from keras_frcnn.figures import FIGURES, Subject, write
from keras_frcnn.figures.canvas import check_path
from keras_frcnn.models import Detector


@dataclasses.dataclass(frozen=True, kw_only=True)
class Show(ReadingOptions):
    """Draw a figure of the papers from your own model and image."""

    figure: tyro.conf.Positional[Literal[*FIGURES]]  # pyright: ignore[reportInvalidTypeForm]
    """anchors of a cell; targets, the minibatch of a training step; proposals; features, the maps; rois, what
    the head sees and says; errors, detections against ground truth."""
    model: Path
    """A .keras file."""
    image: str
    """An image file; with --data, the name or the number (from 0) of an image of the set."""
    data: tyro.conf.UseAppendAction[tuple[str, ...]] = ()
    """Data set that has the image and its ground truth, such as voc:ROOT@SPLIT."""
    output: Path
    """File for the figure: .png, .jpg, .pdf or .svg."""
    top: int | None = None
    """Largest number of proposals, RoIs or detections to draw."""


@in_one_sentence
def main(arguments=None):
    """Run the command.

    Args:
        arguments: list of command-line arguments; by default those of the process.

    Returns:
        Path of the figure.
    """
    run = tyro.cli(Show, args=sys.argv[1:] if arguments is None else list(arguments))
    check_path(run.output)
    if run.top is not None and run.top < 1:
        raise ValueError(f"--top is {run.top}; give at least 1.")
    model = load_detector(run.model)
    if not isinstance(model, Detector):
        raise ValueError(f"{run.model} is an export, which hides its parts; give the .keras file.")
    subject = _of_set(run, model) if run.data else Subject(model, image_ops.read(run.image))
    write(FIGURES[run.figure](subject, run.top), run.output)
    print(f"The figure is in {run.output}")
    return run.output


def _of_set(run, model):
    """The image that --image names in --data, with its ground truth."""
    dataset = run.load(run.data)
    index = _index(run.image, dataset)
    if model.only_proposals:
        truth = dataset.records[index]
        truth = dataclasses.replace(truth, labels=np.zeros_like(truth.labels))
    else:
        truth = dataset.with_class_names(model.class_names).records[index]
    return Subject(model, dataset.image(index), truth)


def _index(name, dataset):
    """The place of the image with this id, file name or number."""
    for index, record in enumerate(dataset.records):
        if name in (str(record.image_id), record.file, Path(record.file).name):
            return index
    if name.isdecimal() and int(name) < len(dataset):
        return int(name)
    raise ValueError(
        f"{dataset.name} has no image {name}; name a file of it, or a number from 0 to {len(dataset) - 1}."
    )
