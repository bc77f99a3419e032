"""Time a training step, beside torchvision's on the same work.

    python benchmarks/training.py [--model NAME|FILE.keras] [--mixed-precision none|float16|bfloat16] [--jit]
                                  [--peer-python PATH] [--json FILE]
    python benchmarks/training.py --sizes | --stablehlo FILE [...]

A step has two images of 600 × 800 pixels, resized within the step, 512 sampled RoIs per image, and SGD with
momentum. Both sides freeze batch normalization and train three stages of the backbone, which is checked. Both
begin with the same weights. The losses of the first step are printed side by side; they differ by the anchors
and RoIs that are drawn.
"""

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np
from inference import (
    EAGER,
    FORMATS,
    KEEPING,
    OURS,
    SHORT_SIDES,
    SIZE,
    add_common,
    draw_weights,
    highest,
    rows,
    wanted,
)
from measures import scaling
from measures.report import Report, summary
from sides.turns import Sides
from sides.worker import KEPT, SideFailed

LOSSES = ("rpn_class_loss", "rpn_box_loss", "class_loss", "box_loss")
IMAGES = 2
# Largest difference of the sums of losses; the sides draw different anchors and RoIs.
SANE = 0.15


def main(arguments=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_common(parser)
    parser.add_argument("--sizes", action="store_true", help="cost against number and size of images")
    parser.add_argument(
        "--mixed-precision", choices=("none", "float16", "bfloat16"), default="none", help="of the networks"
    )
    parser.add_argument("--jit", action="store_true", help="compile our step with XLA")
    parser.add_argument("--stablehlo", type=Path, help="write our step to this file, and time nothing")
    options = parser.parse_args(arguments)
    title = f"Training of {options.model}, mixed precision {options.mixed_precision}"
    with tempfile.TemporaryDirectory() as folder, Sides(options.peer_python) as sides:
        folder = Path(folder)
        names = ("model", "mixed_precision", "jit", "rounds")
        report = Report(title, {name: getattr(options, name) for name in names})
        try:
            preparation = sides.ours("preparation", "preparation")
            if options.sizes:
                sizes(options, sides, folder, report)
            else:
                preparation.call("picture", file=str(folder / "image.npz"), count=IMAGES, size=SIZE)
                if options.stablehlo:
                    write_stablehlo(options, sides, folder)
                else:
                    compare(options, sides, folder, report)
        except SideFailed as error:
            sys.exit(f"{error}.")
    report.write(options.json)


def compare(options, sides, folder, report):
    """Time a step of both sides and print the tables."""
    peak = sides.workers["preparation"].call("peak")
    names = start(options, sides, folder, draw_weights(options, sides, folder))
    report.say("versions", sides.versions(), ", ".join(f"{k} {v}" for k, v in sides.versions().items()))
    report.skipped(sides)
    check(sides, names, report)
    compare_losses(sides, names, folder, report)
    taken, idle = sides.in_turns(names, options.rounds)
    peak = highest(peak, sides.workers["preparation"].call("peak"))
    times = {name: summary(taken[name]) for name in names}
    memory = {name: sides.workers[name].call("memory") for name in names}
    # Last, because it runs the forward pass eagerly.
    operations = sides.workers[names[0]].call("work")
    report.say("idle", idle, f"the side that waits takes {100 * idle:.1f} % of a core")
    report.say(
        "peak", peak, "matmul peak, GFLOP/s: " + ", ".join(f"{k} {v / 1e9:.0f}" for k, v in peak.items())
    )
    report.say("work", operations, f"{operations / 1e9:.1f} GFLOP a step of {IMAGES} images")
    report.table("sides", rows(times, memory, operations, peak), *FORMATS)
    more = {name: found["peak"] - found["empty"] for name, found in memory.items()}
    for name in names[1:]:
        time = times[names[0]]["median"] / times[name]["median"]
        space = more[names[0]] / more[name]
        report.say(f"ratio to {name}", time, f"{names[0]} takes {time:.3f} of {name}")
        report.say(f"memory beside {name}", space, f"and {space:.3f} of its memory")


def start(options, sides, folder, state):
    """Start our side and, if there are weights for both, torchvision's; return their names."""
    shared = {"model": options.model, "state": state, "file": str(folder / "image.npz")}
    precision = "float32" if options.mixed_precision == "none" else options.mixed_precision
    # On a CPU torchvision's step does not support float16.
    peer_precision = "bfloat16" if precision == "bfloat16" else "float32"
    names = [f"{OURS} {'XLA ' if options.jit else ''}{precision}", f"{EAGER} {peer_precision}"]
    sides.ours(names[0], "training", **shared, precision=options.mixed_precision, jit=options.jit)
    if state is None or not wanted(options, EAGER):
        return names[:1]
    # Run it as a user finds it, and once more with the setting of keep_memory.
    names.append(f"{EAGER} {KEEPING} {peer_precision}")
    environments = {names[1]: {}, names[2]: KEPT}
    started = [
        name
        for name, environment in environments.items()
        if sides.peer(name, "peers", "training", environment=environment, **shared, precision=peer_precision)
    ]
    return [names[0], *started]


def check(sides, names, report):
    """Refuse to time sides with different settings."""
    facts = {name: sides.workers[name].call("facts") for name in names}
    for name, found in facts.items():
        report.say(f"facts of {name}", found, f"{name}: " + ", ".join(f"{k} {v}" for k, v in found.items()))
        if found != facts[names[0]]:
            sys.exit(f"{name} does not train what {names[0]} trains; nothing is timed.")


def compare_losses(sides, names, folder, report):
    """Print the losses of the first step; refuse to time sides whose sums are far apart."""
    losses = {}
    for name in names:
        sides.workers[name].call("answer", file=str(folder / "losses.npz"))
        with np.load(folder / "losses.npz") as arrays:
            losses[name] = {loss: float(arrays[loss]) for loss in LOSSES}
    sums = {name: sum(found.values()) for name, found in losses.items()}
    table = [{"first step": name, **losses[name], "sum": sums[name]} for name in names]
    report.table("losses", table, *[".4f"] * (len(LOSSES) + 1))
    for name in names[1:]:
        if not abs(sums[names[0]] / sums[name] - 1) <= SANE:
            sys.exit(f"The losses of {names[0]} and {name} differ by more than {SANE:.0%}; nothing is timed.")


def sizes(options, sides, folder, report):
    """Measure what more images and larger ones cost; each figure comes from its own process."""
    file = str(folder / "images.npz")

    def measure(count, short):
        size = [short, short * 4 // 3]
        sides.workers["preparation"].call("picture", file=file, count=count, size=size)
        worker = sides.ours(
            "one",
            "training",
            model=options.model,
            state=None,
            file=file,
            precision=options.mixed_precision,
            jit=options.jit,
            image_size=[short, 2 * short],
        )
        taken, _ = sides.in_turns(["one"], options.rounds)
        memory = worker.call("memory")
        sides.drop("one")
        return summary(taken["one"]), memory

    report.table("sizes", scaling.table(measure, SHORT_SIDES, IMAGES), *scaling.FORMATS)


def write_stablehlo(options, sides, folder):
    """Write the whole step as one StableHLO module."""
    sides.drop("preparation")
    worker = sides.ours(
        OURS,
        "training",
        model=options.model,
        state=None,
        file=str(folder / "image.npz"),
        precision=options.mixed_precision,
    )
    worker.call("stablehlo", path=str(options.stablehlo.absolute()))
    print(f"{options.stablehlo} has the step.")


if __name__ == "__main__":
    main()
