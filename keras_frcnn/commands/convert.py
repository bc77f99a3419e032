"""`python -m keras_frcnn convert`: convert another library's weights to a .keras file."""

import dataclasses
import sys
from pathlib import Path
from typing import Literal

import tyro

from keras_frcnn import checkpoints
from keras_frcnn.callbacks.run_folder import save
from keras_frcnn.commands.failures import in_one_sentence
from keras_frcnn.weights.torchvision import BACKBONES, from_state
from keras_frcnn.weights.torchvision_names import current_name, detector_tensors


@dataclasses.dataclass(frozen=True)
class Conversion:
    """Build a detector from a weights file, save it, and report what became of every tensor."""

    library: tyro.conf.Positional[Literal["torchvision"]]
    """Library that the weights come from."""
    name: tyro.conf.Positional[Literal[*BACKBONES]]  # pyright: ignore[reportInvalidTypeForm]
    """Name of the model in this library."""
    file: tyro.conf.Positional[Path]
    """State dict of the model: .safetensors, .npz or .pth."""
    output: tyro.conf.Positional[Path]
    """The .keras file to write."""
    class_names: tuple[str, ...] | None = None
    """Names of the classes, without background; by default the 90 of COCO."""
    batch_norm_epsilon: float | None = None
    """Epsilon of batch normalization; by default 0 for the published fasterrcnn_resnet50_fpn, otherwise
    1e-5."""


@in_one_sentence
def main(arguments=None):
    """Run the command.

    Args:
        arguments: list of command-line arguments; by default those of the process.

    Returns:
        The `FasterRCNN`.
    """
    run = tyro.cli(Conversion, args=sys.argv[1:] if arguments is None else list(arguments))
    if run.output.suffix != ".keras":
        raise ValueError(f"{run.output} is no name for a model; end it in .keras.")
    state = checkpoints.read(run.file)
    model = from_state(run.name, state, run.file, run.class_names, run.batch_norm_epsilon)
    print(_table(state, model))
    run.output.parent.mkdir(parents=True, exist_ok=True)
    save(model, run.output)
    print(
        f"Batch normalization has epsilon {model.arguments['batch_norm_epsilon']:g}.\n"
        f"Next: python -m keras_frcnn predict --model {run.output} IMAGE_OR_FOLDER"
    )
    return model


def _table(state, model):
    """Format a line for every tensor of a file, and their number."""
    known = {tensor.name: tensor for tensor in detector_tensors(model)}
    rows = [("tensor", "shape", "variable", "shape")]
    for name, array in state.items():
        variable = known[current_name(name)].variable
        path = "a counter that nothing reads" if variable is None else variable.path
        rows.append((name, _sides(array), path, "" if variable is None else _sides(variable)))
    widths = [max(map(len, column)) for column in zip(*rows)]
    lines = ["  ".join(text.ljust(width) for text, width in zip(row, widths)).rstrip() for row in rows]
    counters = sum(known[current_name(name)].variable is None for name in state)
    lines += [
        "",
        f"{len(state)} tensors: {len(state) - counters} loaded, {counters} counters, none left over.",
    ]
    return "\n".join(lines)


def _sides(array):
    return " x ".join(map(str, array.shape)) or "-"
