"""Time single operations beside `torchvision.ops`, forward and with their gradient.

    python benchmarks/operations.py [--peer-python PATH] [--rounds N] [--json FILE]

1,000 RoIs on a map of 50 × 68 cells with 256 channels; non-maximum suppression of 2 × 4,000 boxes down to
1,000; matching of as many boxes with 20 objects per image. Suppression and matching have no gradient. Timing
begins only when both sides give the same numbers, except for RoIPooling, which does not round, while roi_pool
snaps bins to cells. ExactRoIPooling equals roi_pool.

Letters: B images, H height, W width, C channels, R RoIs per image, N boxes, M objects, P bins per side.
"""

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np
from measures.report import Report, summary
from sides.turns import Sides
from sides.worker import SideFailed

OURS, PEER = "keras_frcnn", "torchvision.ops"
MAP, STRIDE, ROIS, BINS = (1, 50, 68, 256), 16, 1000, 7
IMAGES, BOXES, PROPOSALS, OBJECTS = 2, 4000, 1000, 20
# The smallest share of equal numbers: sums of many terms, and boxes at a threshold, may round either way.
FEWEST = 0.999
# The operation, whether it has a gradient, and whether the peer gives the same numbers.
OPERATIONS = (
    ("RoIAlign", True, True),
    ("RoIPooling", True, False),
    ("exact RoI pooling", True, True),
    ("NMS", False, True),
    ("matching", False, True),
)


def main(arguments=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--peer-python", default=sys.executable, help="interpreter of the environment with the extra `peers`"
    )
    parser.add_argument("--rounds", type=int, default=7, help="turns of each side")
    parser.add_argument("--json", type=Path, help="file that gets the figures")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder, Sides(options.peer_python) as sides:
        report = Report("Single operations, float32", {"rounds": options.rounds})
        inputs = {"file": str(Path(folder) / "inputs.npz"), "bins": BINS, "stride": STRIDE}
        write_inputs(inputs["file"])
        sides.ours(OURS, "operations", script="our_operations", **inputs, proposals=PROPOSALS)
        sides.peer(PEER, "peer_operations", "operations", **inputs, proposals=PROPOSALS)
        report.skipped(sides)
        report.say("versions", sides.versions(), ", ".join(f"{k} {v}" for k, v in sides.versions().items()))
        try:
            rows = [
                row(sides, Path(folder), options.rounds, name, gradient, same)
                for name, differentiable, same in OPERATIONS
                for gradient in (False, True)[: 1 + differentiable]
            ]
        except SideFailed as error:
            sys.exit(f"{error}.")
        report.table("operations", rows, "", ".2f", ".2f", ".3f", ".3%")
    report.write(options.json)


def row(sides, folder, rounds, name, gradient, same):
    """Time one operation on both sides."""
    answers = []
    for number, worker in enumerate(sides.workers.values()):
        worker.call("select", name=name, gradient=gradient)
        worker.call("answer", file=str(folder / f"answer{number}.npz"))
        answers.append(np.load(folder / f"answer{number}.npz")["values"])
    share = agreement(*answers) if same and len(answers) == 2 else None
    if share is not None and share < FEWEST:
        sys.exit(f"Only {share:.3%} of the numbers of {name} are equal; it is not timed.")
    taken, _ = sides.in_turns(list(sides.workers), rounds, at_least=0.2)
    times = {side: 1000 * summary(seconds)["median"] for side, seconds in taken.items()}
    peer = times.get(PEER)
    return {
        "operation": name,
        "": "forward and gradient" if gradient else "forward",
        "ours, ms": times[OURS],
        "torchvision, ms": peer,
        "ratio": times[OURS] / peer if peer else None,
        "agreement": share,
    }


def agreement(ours, theirs):
    """Share of the numbers that are equal within rounding; 0 if the shapes differ."""
    if ours.shape != theirs.shape:
        return 0.0
    return float(np.isclose(ours, theirs, rtol=1e-4, atol=1e-4 * np.abs(theirs).max()).mean())


def write_inputs(file):
    """Write random inputs for all operations."""
    random = np.random.default_rng(0)
    extent = STRIDE * np.array(MAP[2:0:-1])
    arrays = {
        "features": random.normal(size=MAP),
        "rois": some_boxes(random, (MAP[0], ROIS), extent, (32, 500)),
        "weights": random.normal(size=(MAP[0], ROIS, BINS, BINS, MAP[3])),
        "boxes": some_boxes(random, (IMAGES, BOXES), extent, (16, 300)),
        "scores": random.normal(size=(IMAGES, BOXES)),
        "objects": some_boxes(random, (IMAGES, OBJECTS), extent, (32, 300)),
    }
    np.savez(file, **{name: array.astype(np.float32) for name, array in arrays.items()})


def some_boxes(random, shape, extent, sides):
    """Random boxes `[*shape, 4]` within `extent`, x and y; sides are uniform on a logarithmic scale."""
    size = np.exp(random.uniform(*np.log(sides), (*shape, 2)))
    corner = random.uniform(size=(*shape, 2)) * np.maximum(extent - size, 0)
    return np.concatenate([corner, np.minimum(corner + size, extent)], axis=-1)


if __name__ == "__main__":
    main()
