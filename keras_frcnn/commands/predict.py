"""`python -m keras_frcnn predict`: draw and list what a detector finds in images and videos."""

import dataclasses
import sys
from pathlib import Path
from typing import Literal

import tyro

from keras_frcnn import evaluation
from keras_frcnn import images as image_ops
from keras_frcnn.callbacks.progress import ImageLines
from keras_frcnn.commands.detectors import load_detector
from keras_frcnn.commands.drawn_detections import DrawnDetections
from keras_frcnn.commands.failures import in_one_sentence
from keras_frcnn.commands.inputs import pictures_and_videos
from keras_frcnn.data.readers.pictures import SUFFIXES
from keras_frcnn.evaluation.tiled_detection import SMALLEST


@dataclasses.dataclass(frozen=True)
class Prediction:
    """Find objects in images and videos; draw the detections, and print a line for each image."""

    images: tyro.conf.Positional[tuple[str, ...]]
    """Image files, folders, patterns such as "photos/**/*.jpg", videos, URLs of streams; - reads a list of
    these from the input."""
    model: Path
    """A .keras file, the folder of an export, an exported .onnx, .tflite or OpenVINO .xml file, or the name
    of a preset."""
    output: Path = Path("predictions")
    """Folder to write to."""
    score_threshold: float = 0.5
    """Detections with a lower score are neither drawn nor counted, 0 to 1."""
    write: tuple[Literal[*DrawnDetections.FORMATS], ...] = ("pictures",)  # pyright: ignore[reportInvalidTypeForm]
    """What to write: pictures or videos with boxes, COCO results, VOC XML, YOLO text files, a CSV, crops."""
    tiles: int = 0
    """Side of overlapping square tiles to detect in besides the whole image, pixels; 0 for none."""
    batch_size: int = 1
    """Largest number of consecutive images, frames or tiles of one size that share a pass; for a GPU."""
    json: Path | None = None
    """File to write all detections to, including those below the threshold."""


@in_one_sentence
def main(arguments=None):
    """Run the command.

    An image or video that cannot be read is reported and skipped; the process then ends with status 1.

    Args:
        arguments: list of command-line arguments; by default those of the process.

    Returns:
        The dict that `--json` writes, see `DrawnDetections.finish`.
    """
    run = tyro.cli(Prediction, args=sys.argv[1:] if arguments is None else list(arguments))
    if not run.write:
        raise ValueError(f"--write names nothing; name some of {', '.join(DrawnDetections.FORMATS)}.")
    if run.tiles < 0 or 0 < run.tiles < SMALLEST:
        raise ValueError(f"--tiles is {run.tiles}; give tiles of at least {SMALLEST} pixels, or 0 for none.")
    files, videos, empty = pictures_and_videos(run.images, SUFFIXES)
    pictures = DrawnDetections(files, run.output, run.score_threshold, run.json, run.write, videos)
    detector = load_detector(run.model)
    evaluation.check_batch_size(detector, run.batch_size)
    batch_size = run.batch_size
    if run.tiles:
        detector = evaluation.TiledDetection(detector, run.tiles, batch_size=batch_size)
        batch_size = 1  # the tiles of one image share passes
    pictures.begin(detector.class_names)
    progress = ImageLines("predict")
    with pictures.kept():
        for word, sentence in empty.items():
            pictures.skip(word, sentence)
        images = _readable(files, pictures)
        for file, image, found in evaluation.detect_in_passes(detector, images, batch_size):
            pictures.add(file, image, found)
            progress(pictures.finished, len(files) + len(empty))
        for video in videos:
            try:
                pictures.add_video(
                    video,
                    lambda frames: evaluation.detect_in_passes(detector, frames, batch_size),
                    ImageLines(video),
                )
            except ValueError as error:
                pictures.skip(video, error)
    return pictures.finish()


def _readable(files, pictures):
    """Yield the files that can be read, and their images; report the others."""
    for file in files:
        try:
            image = image_ops.read(file)
        except (ValueError, OSError) as error:
            pictures.skip(file, error)
        else:
            yield file, image
