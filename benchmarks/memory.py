"""Measure the memory of detection and training, beside the peers.

    python benchmarks/memory.py [--model NAME] [--peer-python PATH] [--peers NAME ...] [--json FILE]

Each figure is the peak of a fresh process that only loads the weights and works a few times, minus what it
had after importing the libraries.
"""

import argparse
import sys
import tempfile
from pathlib import Path

import inference
import training
from measures.report import Report
from sides.turns import Sides
from sides.worker import SideFailed


def main(arguments=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    inference.add_common(parser, rounds=2)
    parser.set_defaults(precision="float32", image=None, mixed_precision="none", jit=False)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder, Sides(options.peer_python) as sides:
        report = Report(f"Peak memory of {options.model}", {"model": options.model})
        try:
            rows = detecting(options, sides, Path(folder)) + stepping(options, sides, Path(folder))
        except SideFailed as error:
            sys.exit(f"{error}.")
        report.skipped(sides)
        report.table("memory", rows, "", ".0f", ".0f", ".3f")
    report.write(options.json)


def detecting(options, sides, folder):
    """Table rows for the detection of one image."""
    files = inference.prepare(options, sides, folder)
    return rows(sides, inference.start(options, sides, files, folder / "image.npz"), "one image", options)


def stepping(options, sides, folder):
    """Table rows for a training step of two images."""
    file = str(folder / "image.npz")
    sides.workers["preparation"].call("picture", file=file, count=training.IMAGES, size=inference.SIZE)
    state = folder / "state.npz"
    names = training.start(options, sides, folder, str(state) if state.exists() else None)
    return rows(sides, names, "training step", options)


def rows(sides, names, work, options):
    """Measure each side alone, then end it."""
    measured = []
    for name in names:
        try:
            for _ in range(options.rounds):
                sides.workers[name].call("turn", at_least=0.0)
            memory = sides.workers[name].call("memory")
        except SideFailed as error:
            if name.startswith(inference.OURS):
                raise
            sides.drop(name, str(error))
            continue
        sides.drop(name)
        more = (memory["peak"] - memory["empty"]) / 1e6
        first = measured[0]["MB more"] if measured else more
        measured.append(
            {
                "work": work,
                "side": name,
                "MB empty": memory["empty"] / 1e6,
                "MB more": more,
                "ratio": first / more,
            }
        )
    return measured


if __name__ == "__main__":
    main()
