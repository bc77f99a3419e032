"""`python -m keras_frcnn export`: write a model's next version into the folder that a server watches."""

import dataclasses
import sys
from pathlib import Path
from typing import Literal

import tyro

from keras_frcnn import export
from keras_frcnn.commands.detectors import load_detector
from keras_frcnn.commands.failures import in_one_sentence
from keras_frcnn.commands.provenance import provenance
from keras_frcnn.export.saved_model import MAX_BYTES, MAX_PIXELS


@dataclasses.dataclass(frozen=True)
class Export:
    """Write a model as a SavedModel for TF-Serving: a new numbered version, complete or not at all."""

    model: Path
    """A .keras file."""
    output: Path
    """Folder of the model, such as saved_models/cells; the version becomes a folder in it."""
    version: int | None = None
    """Number of the version; by default one above the highest there is."""
    max_detections: int | None = None
    """At most so many an image; by default the model's own number, as for the four that follow."""
    score_threshold: float | None = None
    """Detections score above it, 0 to 1."""
    nms_iou: float | None = None
    """A box that overlaps a better one of its class by more is dropped, 0 to 1."""
    image_size: tuple[int, int] | None = None
    """Short side and limit of the long side that images are resized to, pixels."""
    precision: Literal["float32", "bfloat16", "float16"] | None = None
    """What the network computes in; boxes and scores stay float32."""
    max_bytes: int = MAX_BYTES
    """A longer encoded image is answered with image_ok 0."""
    max_pixels: int = MAX_PIXELS
    """So is one whose header claims more pixels."""


@in_one_sentence
def main(arguments=None):
    """Run the command.

    Args:
        arguments: list of command-line arguments; by default those of the process.

    Returns:
        `Path` of the version.
    """
    run = tyro.cli(Export, args=sys.argv[1:] if arguments is None else list(arguments))
    if run.version is not None and run.version < 1:
        raise ValueError(f"--version is {run.version}; versions count from 1.")
    if run.output.exists() and not run.output.is_dir():
        raise ValueError(f"--output {run.output} is a file; name a folder.")
    if run.output.name.isdecimal() or (run.output / "saved_model.pb").exists():
        raise ValueError(
            f"--output {run.output} is a version itself; name the folder of the model, such as "
            f"{run.output.parent}, and the number with --version."
        )
    path = export.next_version(run.output) if run.version is None else run.output / str(run.version)
    if path.exists():
        raise FileExistsError(f"{path} exists already; leave --version out for the next one.")
    model = load_detector(run.model)
    if isinstance(model, export.ServedDetector):
        raise ValueError(f"{run.model} is an export already; give the .keras file that it was made from.")
    export.saved_model(
        model,
        path,
        image_size=run.image_size,
        max_detections=run.max_detections,
        score_threshold=run.score_threshold,
        nms_iou=run.nms_iou,
        precision=run.precision,
        max_bytes=run.max_bytes,
        max_pixels=run.max_pixels,
        **provenance(run.model),
    )
    print(f"SavedModel for TF-Serving: {path}")
    return path
