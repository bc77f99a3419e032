"""`python -m keras_frcnn convert-data`: write data sets in the layout of COCO, VOC or YOLO."""

import dataclasses
import sys
from pathlib import Path
from typing import Literal

import tyro

from keras_frcnn.commands.failures import in_one_sentence
from keras_frcnn.commands.reading import ReadingOptions
from keras_frcnn.data.records import counted
from keras_frcnn.data.writers import WRITERS


@dataclasses.dataclass(frozen=True, kw_only=True)
class Conversion(ReadingOptions):
    """Write data sets in another layout; the pictures are copied."""

    specs: tyro.conf.Positional[tuple[str, ...]]
    """Data sets, such as folder:ROOT@train or csv:FILE@IMAGES[@SPLIT]; several are joined."""
    to: tuple[Literal[*WRITERS], Path]  # pyright: ignore[reportInvalidTypeForm]
    """The layout and the folder to write."""
    split: str = "train"
    """Name of the split."""


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
    dataset = run.load(run.specs)
    spec = WRITERS[layout](dataset, folder, run.split)
    ignored = sum(int(record.ignore.sum()) for record in dataset.records)
    if layout == "yolo" and ignored:
        print(f"YOLO's layout has no ignored objects; {ignored} of them were left out.")
    print(
        f"{counted(len(dataset), 'image')} of {counted(len(dataset.class_names), 'class')} are in {folder}. "
        f"Read them as {spec}"
    )
    return spec
