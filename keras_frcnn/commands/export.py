"""`python -m keras_frcnn export`: write a model's next version for a server or another runtime."""

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
from keras_frcnn.models import Detector

LIMITS = ("max_bytes", "max_pixels")
# What a format is called, and what other commands open of its folder.
WRITTEN = {
    "saved_model": ("SavedModel for TF-Serving", ""),
    "onnx": ("ONNX file for ONNX Runtime", "model.onnx"),
    "litert": ("LiteRT file", "model.tflite"),
    "openvino": ("OpenVINO file", "model.xml"),
}


@dataclasses.dataclass(frozen=True)
class Export:
    """Write a model for TF-Serving or another runtime: a new numbered version, complete or not at all."""

    model: Path
    """A .keras file, or the name of a preset."""
    output: Path
    """Folder of the model, such as saved_models/cells; the version becomes a subfolder."""
    format: Literal["saved_model", "onnx", "litert", "openvino"] = "saved_model"
    """SavedModel for TF-Serving, or a file for ONNX Runtime, LiteRT or OpenVINO; see docs/deployment.md."""
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
    """Compute dtype of the network in a SavedModel; what weights are stored in elsewhere, float32 or float16.
    Boxes and scores stay float32."""
    max_bytes: int | None = None
    """Maximum size of an encoded image in a SavedModel, by default 32 MiB; a larger one gets image_ok 0."""
    max_pixels: int | None = None
    """Maximum number of pixels in the header of an image in a SavedModel, by default 50 million; as above."""


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
    limits = {name: getattr(run, name) for name in LIMITS if getattr(run, name) is not None}
    if limits and run.format != "saved_model":
        raise ValueError("--max-bytes and --max-pixels limit what a SavedModel decodes; leave them out.")
    model = load_detector(run.model)
    if not isinstance(model, Detector):
        raise ValueError(f"{run.model} is an export already; give the .keras file that it was made from.")
    print(f"Exporting to {path}, which takes half a minute", flush=True)
    model.export(
        path,
        format=run.format,
        image_size=run.image_size,
        max_detections=run.max_detections,
        score_threshold=run.score_threshold,
        nms_iou=run.nms_iou,
        precision=run.precision,
        **limits,
        **provenance(run.model),
    )
    title, file = WRITTEN[run.format]
    print(f"{title}: {path / file}")
    return path
