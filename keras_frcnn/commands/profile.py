"""`python -m keras_frcnn profile`: measure where the time of a training step and an inference goes."""

import dataclasses
import sys
import time
from pathlib import Path

import tensorflow as tf
import tyro

from keras_frcnn import data, profiling
from keras_frcnn.commands.detectors import load_detector
from keras_frcnn.commands.failures import in_one_sentence
from keras_frcnn.commands.outputs import check_json
from keras_frcnn.commands.reading import ReadingOptions
from keras_frcnn.files import write_json
from keras_frcnn.models import Detector, FasterRCNN


@dataclasses.dataclass(frozen=True, kw_only=True)
class Profile(ReadingOptions):
    """Print where the time of a training step and of an inference goes, and keep a trace for TensorBoard.

    The table is for CPUs: with a GPU it covers only the host, and the trace alone shows the device.
    """

    model: Path | None = None
    """A .keras file."""
    backbone: str | None = None
    """Instead of --model: a new detector on this backbone, with random weights."""
    data: tyro.conf.UseAppendAction[tuple[str, ...]] = ()
    """Data set, such as voc:ROOT@SPLIT or coco:INSTANCES.json@IMAGE_FOLDER; several are joined. By default
    drawn scenes, whose objects get the classes of the model."""
    image_size: tuple[int, int] | None = None
    """With --backbone: short side and limit of the long side, pixels; by default the backbone's."""
    batch_size: int = 2
    """Images per training step."""
    steps: int = 10
    """Steps to time, after two warm-up steps; the trace has at most five steps."""
    output: Path | None = None
    """Folder for the traces; by default a new one under runs/."""
    json: Path | None = None
    """File to write the figures to, in seconds."""


@in_one_sentence
def main(arguments=None):
    """Run the command.

    Args:
        arguments: list of command-line arguments; by default those of the process.

    Returns:
        The dict from `profiling.profile`.
    """
    run = tyro.cli(Profile, args=sys.argv[1:] if arguments is None else list(arguments))
    for name in ("batch_size", "steps"):
        if getattr(run, name) < 1:
            raise ValueError(f"--{name.replace('_', '-')} is {getattr(run, name)}; give at least 1.")
    if (run.model is None) == (run.backbone is None):
        raise ValueError("Name what to profile with either --model FILE.keras or --backbone NAME.")
    if run.model and run.image_size:
        raise ValueError("A model has an --image-size of its own; leave it out, or give --backbone.")
    check_json(run.json)
    dataset = run.load(run.data or ["shapes@train"])
    model = _model(run, dataset)
    dataset = dataset.with_class_names(model.class_names) if run.data else _of_classes(dataset, model)
    model.compile()
    folder = run.output or Path("runs") / f"profile-{time.strftime('%Y%m%d-%H%M%S')}"
    figures = profiling.profile(model, dataset, run.batch_size, run.steps, folder)
    print(f"{run.model or run.backbone} at {model.image_size} on {dataset.name}, {_device()}\n")
    print(profiling.report(figures))
    print(f"Traces: {folder}. With TensorBoard: tensorboard --logdir {folder}, tab Profile.")
    if run.json:
        write_json(run.json, figures)
    return figures


def _model(run, dataset):
    if run.model:
        model = load_detector(run.model)
        if not isinstance(model, Detector):
            raise ValueError(f"{run.model} is an export, which cannot be trained; give a .keras file.")
        profiling.check_kind(model)
        return model
    size = {"image_size": run.image_size} if run.image_size else {}
    return FasterRCNN(dataset.class_names, run.backbone, **size)


def _of_classes(scenes, model):
    """Drawn scenes whose objects are of the model's classes, in turn."""
    count = len(model.class_names)
    records = [dataclasses.replace(record, labels=record.labels % count) for record in scenes.records]
    return data.DetectionDataset(scenes.name, model.class_names, records, scenes.source)


def _device():
    gpus = tf.config.list_physical_devices("GPU")
    return f"{len(gpus)} GPU" if gpus else "CPU"
