"""`python -m keras_frcnn convert-data`: write data sets in the layout of COCO, VOC or YOLO."""

import dataclasses
import sys
from pathlib import Path
from typing import Literal

import tyro

from keras_frcnn import data
from keras_frcnn.commands.failures import in_one_sentence
from keras_frcnn.data.writers import WRITERS


@dataclasses.dataclass(frozen=True)
class Conversion:
    """Write data sets in another layout; the pictures are copied."""

    specs: tyro.conf.Positional[tuple[str, ...]]
    """Data sets, such as folder:ROOT@train or csv:FILE@IMAGE_FOLDER; several are joined."""
    to: tuple[Literal[*WRITERS], Path]  # pyright: ignore[reportInvalidTypeForm]
    """The layout and the folder to write."""
    split: str = "train"
    """Name of the split."""
    missing_annotation: Literal["refuse", "empty"] = "refuse"
    """A picture without an annotation: refuse it, or take it as one without objects."""
    on_broken: Literal["stop", "skip"] = "stop"
    """A picture that cannot be decoded: stop, or leave it out, at most ten or a tenth of them."""
    allow_outside: bool = False
    """Let annotations name pictures outside the picture folder."""


@in_one_sentence
def main(arguments=None):
    """Run the command.

    Args:
        arguments: list of command-line arguments; by default those of the process.

    Returns:
        The spec of what was written, str.
    """
    run = tyro.cli(Conversion, args=sys.argv[1:] if arguments is None else list(arguments))
    layout, folder = run.to
    if not run.split or not run.split.replace("-", "").replace("_", "").isalnum():
        raise ValueError(f"--split is {run.split!r}; use letters, digits, - and _.")
    dataset = data.load(
        list(run.specs),
        missing_annotation=run.missing_annotation,
        on_broken=run.on_broken,
        allow_outside=run.allow_outside,
    )
    spec = WRITERS[layout](dataset, folder, run.split)
    ignored = sum(int(record.ignore.sum()) for record in dataset.records)
    if layout == "yolo" and ignored:
        print(f"YOLO's layout has no ignored objects; {ignored} of them were left out.")
    print(
        f"{len(dataset)} images of {len(dataset.class_names)} classes are in {folder}. Their name is {spec}"
    )
    return spec
