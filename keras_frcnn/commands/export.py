"""`python -m keras_frcnn export`: write a model's next version into the folder that a server watches."""

import dataclasses
import sys
from pathlib import Path
from typing import Literal

import tyro

from keras_frcnn import export
from keras_frcnn.commands.detectors import load_detector
from keras_frcnn.commands.failures import in_one_sentence
from keras_frcnn.commands.outputs import check_model_folder
from keras_frcnn.commands.provenance import provenance
from keras_frcnn.export.saved_model import MAX_BYTES, MAX_PIXELS


@dataclasses.dataclass(frozen=True)
class Export:
    """Write a model as a SavedModel for TF-Serving: a new numbered version, complete or not at all."""

    model: Path
    """A .keras file."""
    output: Path
    """Folder of the model, such as saved_models/cells; the version becomes a subfolder."""
    version: int | None = None
    """Version number; by default one above the highest existing one."""
    max_detections: int | None = None
    """Maximum detections per image; by default the model's own, as for the next four options."""
    score_threshold: float | None = None
    """Keep only detections with a higher score, 0 to 1."""
    nms_iou: float | None = None
    """Drop boxes whose IoU with a better box of the same class is higher, 0 to 1."""
    image_size: tuple[int, int] | None = None
    """Short side and limit of the long side to resize images to, pixels."""
    precision: Literal["float32", "bfloat16", "float16"] | None = None
    """Compute dtype of the network; boxes and scores stay float32."""
    max_bytes: int = MAX_BYTES
    """Maximum size of an encoded image; a larger one gets image_ok 0."""
    max_pixels: int = MAX_PIXELS
    """Maximum number of pixels in the header of an image; one with more gets image_ok 0."""


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
    check_model_folder(run.output, "--output")
    path = export.next_version(run.output) if run.version is None else run.output / str(run.version)
    if path.exists():
        raise FileExistsError(f"{path} exists already; leave --version out for the next one.")
    model = load_detector(run.model)
    if isinstance(model, export.ServedDetector):
        raise ValueError(f"{run.model} is an export already; give the .keras file that it was made from.")
    print(f"Exporting to {path}, which takes half a minute", flush=True)
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
