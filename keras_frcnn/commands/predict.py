"""`python -m keras_frcnn predict`: draw and list what a detector finds in image files."""

import dataclasses
import sys
from pathlib import Path

import tyro

from keras_frcnn import images as image_ops
from keras_frcnn.commands.detectors import load_detector
from keras_frcnn.commands.drawn_detections import DrawnDetections
from keras_frcnn.commands.failures import in_one_sentence


@dataclasses.dataclass(frozen=True)
class Prediction:
    """Find objects in image files; draw the detections, and print a line for each image."""

    images: tyro.conf.Positional[tuple[Path, ...]]
    """Image files, or folders of them."""
    model: Path
    """A .keras file, or the folder of a SavedModel."""
    output: Path = Path("predictions")
    """Folder to write the pictures to."""
    score_threshold: float = 0.5
    """Detections with a lower score are neither drawn nor counted, 0 to 1."""
    json: Path | None = None
    """File to write all detections to, including those below the threshold."""


@in_one_sentence
def main(arguments=None):
    """Run the command.

    An image that cannot be read is reported and skipped; the process then ends with status 1.

    Args:
        arguments: list of command-line arguments; by default those of the process.

    Returns:
        The dict that `--json` writes, see `DrawnDetections.finish`.
    """
    run = tyro.cli(Prediction, args=sys.argv[1:] if arguments is None else list(arguments))
    pictures = DrawnDetections(run.images, run.output, run.score_threshold, run.json)
    detector = load_detector(run.model)
    pictures.begin(detector.class_names)
    with pictures.kept():
        for file in pictures.files:
            try:
                image = image_ops.read(file)
            except (ValueError, OSError) as error:
                pictures.skip(file, error)
                continue
            pictures.add(file, image, detector.detect(image))
    return pictures.finish()
