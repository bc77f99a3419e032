"""`python -m keras_frcnn serve-client`: draw and list what a server finds in image files."""

import dataclasses
import sys
from pathlib import Path

import numpy as np
import tyro

from keras_frcnn import images as image_ops
from keras_frcnn.class_names import fault
from keras_frcnn.commands.drawn_detections import DrawnDetections
from keras_frcnn.commands.failures import in_one_sentence
from keras_frcnn.commands.inputs import pictures_and_videos
from keras_frcnn.export.client import ServingClient
from keras_frcnn.files import read_text

# Endings of the formats that a server decodes.
SERVED = (".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".gif", ".bmp")


@dataclasses.dataclass(frozen=True)
class Request:
    """Send image files to TF-Serving; draw the detections, and print a line for each image."""

    images: tyro.conf.Positional[tuple[Path, ...]]
    """Image files, or folders of them."""
    url: str
    """http://HOST:8501/v1/models/NAME for REST, grpc://HOST:8500/NAME for gRPC; both may end in
    /versions/NUMBER or /labels/LABEL."""
    labels: Path | None = None
    """labels.txt of the export, with the class names; by default classes are numbered."""
    output: Path = Path("predictions")
    """Folder to write the pictures to."""
    score_threshold: float = 0.5
    """Detections with a lower score are neither drawn nor counted, 0 to 1."""
    batch_size: int = 1
    """Images per request."""
    timeout: float = 30.0
    """Seconds to wait for a response."""
    json: Path | None = None
    """File to write all detections to, including those below the threshold."""


@in_one_sentence
def main(arguments=None):
    """Run the command.

    An image that the server cannot read is reported and skipped; the process then ends with status 1.

    Args:
        arguments: list of command-line arguments; by default those of the process.

    Returns:
        The dict that `--json` writes, see `DrawnDetections.finish`.
    """
    run = tyro.cli(Request, args=sys.argv[1:] if arguments is None else list(arguments))
    for name in ("batch_size", "timeout"):
        if getattr(run, name) <= 0:
            raise ValueError(f"--{name.replace('_', '-')} is {getattr(run, name)}; it must be above 0.")
    files, videos, empty = pictures_and_videos(run.images, SERVED)
    if videos:
        raise ValueError(f"{videos[0]} is a video, which no server takes; give its frames as images.")
    pictures = DrawnDetections(files, run.output, run.score_threshold, run.json)
    names = _read_labels(run.labels) if run.labels else []
    with ServingClient(run.url, run.timeout) as client:
        pictures.begin(names)
        with pictures.kept():
            for word, sentence in empty.items():
                pictures.skip(word, sentence)
            for start in range(0, len(files), run.batch_size):
                contents = _read(pictures, files[start : start + run.batch_size])
                answers = client.detect(list(contents.values()))
                for (file, encoded), found in zip(contents.items(), answers, strict=True):
                    _add(pictures, names, file, encoded, found)
    return pictures.finish()


def _add(pictures, names, file, encoded, found):
    if found is None:
        pictures.skip(file, f"{file} is no image that the server can read, or a too large one.")
        return
    image = image_ops.from_bytes(encoded, file)
    height, width = image.shape[:2]
    found["boxes"] = found["boxes"] * np.array([width, height, width, height], np.float32)
    names += [f"class {number + 1}" for number in range(len(names), found["labels"].max(initial=-1) + 1)]
    pictures.add(file, image, found)


def _read_labels(file):
    advice = "give labels.txt, which lies in the folder assets of the export"
    if file.suffix == ".pbtxt":
        raise ValueError(f"--labels {file} is a label map, not a class a line; {advice}.")
    try:
        names = read_text(file).rstrip("\n").split("\n")
    except ValueError:
        raise ValueError(f"--labels {file} is no text in UTF-8; {advice}.") from None
    for number, name in enumerate(names, start=1):
        if fault(name):
            raise ValueError(f"Line {number} of --labels {file} {fault(name)}; {advice}.")
    return names


def _read(pictures, files):
    """Read the bytes of the files; skip those that cannot be read."""
    contents = {}
    for file in files:
        try:
            contents[file] = file.read_bytes()
        except OSError as error:
            pictures.skip(file, f"{file} cannot be read ({error.strerror}); check the path.")
    return contents
