"""Time the inference of one image, beside what a user would pick instead.

    python benchmarks/inference.py [--model NAME|FILE.keras] [--precision float32|bfloat16]
                                   [--peer-python PATH] [--image FILE] [--json FILE]
    python benchmarks/inference.py --sizes [--model NAME|FILE.keras] [--precision float32|bfloat16]

Our side is the exported SavedModel, `detect` of the model itself, and in float32 our other exports in ONNX
Runtime, OpenVINO and LiteRT. The peers are torchvision, eager and compiled, and ONNX Runtime and OpenVINO on
torchvision's exported graph. All have the same weights, image and
thresholds; each runs in its own process, and they work in turns. Timing begins only when the sides give the
same detections. `--sizes` measures what more images and larger ones cost.
"""

import argparse
import functools
import itertools
import sys
import tempfile
from pathlib import Path

import numpy as np
from measures import scaling
from measures.agreement import FEWEST_AGAIN, SLACK, agreeing, found_again
from measures.report import Report, summary
from sides import portable_sides
from sides.turns import Sides
from sides.worker import KEPT, SideFailed

MODELS = ("resnet50_fpn", "resnet50_fpn_v2", "mobilenet_v3_large_fpn", "mobilenet_v3_large_320_fpn")
SIZE = (600, 800)
SHORT_SIDES = (300, 600, 1000)
EAGER, OURS = "torchvision", "keras_frcnn"
EXACT = f"{EAGER} float64"  # the reference, which is not timed
KEEPING = "keeping memory"  # a peer with the setting of keep_memory
WAYS = {"": {}, f"{KEEPING} ": KEPT}
PEERS = {"float32": (EAGER, "torch.compile", "ONNX Runtime", "OpenVINO"), "bfloat16": (EAGER, "OpenVINO")}


def main(arguments=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_common(parser)
    parser.add_argument("--sizes", action="store_true", help="cost against number and size of images")
    parser.add_argument("--precision", choices=PEERS, default="float32", help="what the networks compute in")
    parser.add_argument("--image", type=Path, help="image file; by default a scene of the shapes set")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder, Sides(options.peer_python) as sides:
        settings = {name: getattr(options, name) for name in ("model", "precision", "rounds")}
        report = Report(f"Inference of {options.model}, {options.precision}", settings)
        try:
            (sizes if options.sizes else compare)(options, sides, Path(folder), report)
        except SideFailed as error:
            sys.exit(f"{error}.")
    report.write(options.json)


def add_common(parser, rounds=7):
    """Add the options that the benchmarks of whole models share."""
    parser.add_argument(
        "--model", default=MODELS[0], help=f"{', '.join(MODELS)}, or a .keras file, which has no peers"
    )
    parser.add_argument(
        "--peer-python", default=sys.executable, help="interpreter of the environment with the extra `peers`"
    )
    parser.add_argument(
        "--peers", nargs="*", choices=PEERS["float32"], help="the peers that take part; by default all"
    )
    parser.add_argument("--rounds", type=int, default=rounds, help="turns of each side")
    parser.add_argument("--json", type=Path, help="file that gets the figures")


def compare(options, sides, folder, report):
    """Time the sides on one image and print the tables."""
    files, image = prepare(options, sides, folder), folder / "image.npz"
    preparation = sides.workers["preparation"]
    peak = preparation.call("peak")
    work = preparation.call("work", model=options.model, state=files["state"], file=str(image))
    names = start(options, sides, files, image)
    report.say("versions", sides.versions(), ", ".join(f"{k} {v}" for k, v in sides.versions().items()))
    check(sides, names, folder, report)
    profile = sides.ours("profile", "profile", folder=files[options.precision], file=str(image)).call(
        "profile"
    )
    sides.drop("profile")

    taken, idle = sides.in_turns(names, options.rounds)
    peak = highest(peak, sides.workers["preparation"].call("peak"))
    times = {name: summary(taken[name]) for name in names}
    memory = {name: sides.workers[name].call("memory") for name in names}
    report.skipped(sides)
    report.say("idle", idle, f"the sides that wait take {100 * idle:.1f} % of a core together")
    report.say(
        "peak", peak, "matmul peak, GFLOP/s: " + ", ".join(f"{k} {v / 1e9:.0f}" for k, v in peak.items())
    )
    report.say(
        "work",
        work,
        f"{work['operations'] / 1e9:.1f} GFLOP an image of {' × '.join(map(str, work['size']))} (two for "
        "each multiply-add of convolutions and matrix products)",
    )
    report.table("sides", rows(times, memory, work["operations"], peak), *FORMATS)
    for name in names[1:]:
        figure = times[names[0]]["median"] / times[name]["median"]
        report.say(f"ratio to {name}", figure, f"{names[0]} takes {figure:.3f} of {name}")
    show_profile(profile, report)


FORMATS = (".1f", ".1f", ".1f", ".0f", ".0%", ".0f")


def highest(before, after):
    """The higher matmul peak, before or after the turns, because a shared machine changes meanwhile."""
    return {dtype: max(before[dtype], after[dtype]) for dtype in before}


def rows(times, memory, operations, peak):
    """One row per side: milliseconds, arithmetic per second and its share of the peak, memory."""
    table = []
    for name, time in times.items():
        rate = operations / time["median"]
        best = peak.get(name.rpartition(" ")[2])  # float16 has no peak
        table.append(
            {
                "side": name,
                "ms": 1000 * time["median"],
                "fastest": 1000 * time["lowest"],
                "slowest": 1000 * time["highest"],
                "GFLOP/s": rate / 1e9,
                "of peak": rate / best if best else None,
                "MB": (memory[name]["peak"] - memory[name]["empty"]) / 1e6,
            }
        )
    return table


def prepare(options, sides, folder):
    """Draw the image and the weights and export our model.

    Returns:
        dict of "state", the file of the state dict or None, and for each precision the folder of its export.
    """
    preparation = sides.ours("preparation", "preparation")
    image = {"image": str(options.image)} if options.image else {}
    preparation.call("picture", file=str(folder / "image.npz"), count=1, size=SIZE, **image)
    files = {"state": draw_weights(options, sides, folder)}
    for precision in dict.fromkeys((options.precision, "float32")):
        files[precision] = str(folder / precision / "1")
        preparation.call(
            "export", model=options.model, state=files["state"], folder=files[precision], precision=precision
        )
    return files


def draw_weights(options, sides, folder):
    """Let torchvision draw weights for both sides; None if it is not installed or has no such model."""
    file = str(folder / "state.npz")
    if options.model not in MODELS:
        return None
    drawn = sides.peer(
        "weights", "peers", "weights", model=options.model, file=str(folder / "image.npz"), state=file
    )
    if drawn is None:
        sides.skipped[EAGER] = sides.skipped.pop("weights")
        return None
    sides.drop("weights")
    return file


def wanted(options, peer):
    """Whether a peer was asked for."""
    return options.peers is None or peer in options.peers


def start(options, sides, files, image):
    """Start every side that can take part, ours first, and return their names."""
    precision, reference = options.precision, {"model": options.model, "state": files["state"]}
    names = []
    for kind in dict.fromkeys((precision, "float32")):
        names.append(f"{OURS} {kind}")
        sides.ours(names[-1], "saved_model", folder=files[kind], file=str(image))
    names.append(f"{OURS} detect float32")
    sides.ours(names[-1], "detect", **reference, file=str(image))
    if precision == "float32":
        names += portable_sides.start(sides, OURS, reference, image)
    if files["state"] is None:
        return names

    sides.peer(EXACT, "peers", "eager", **reference, precision="float64", file=str(image))
    path = str(image.with_name("graph.onnx"))
    makers = {
        EAGER: {"subject": "eager", **reference, "precision": precision},
        "torch.compile": {"subject": "compiled", **reference},
        "ONNX Runtime": {"subject": "onnx_runtime", "path": path},
        "OpenVINO": {"subject": "openvino", "path": path, "precision": precision},
    }
    if wanted(options, "ONNX Runtime") or wanted(options, "OpenVINO"):
        if sides.peer("graph", "peers", "graph", **reference, file=str(image), path=path):
            sides.drop("graph")
    # Run each peer as a user finds it, and once more with the setting of keep_memory.
    for name, way in itertools.product(filter(functools.partial(wanted, options), PEERS[precision]), WAYS):
        full = f"{name} {way}{precision}"
        if sides.peer(full, "peers", environment=WAYS[way], **makers[name], file=str(image)):
            names.append(full)
    return names


def check(sides, names, folder, report):
    """Refuse to time sides that do not give the same detections.

    The reference is torchvision in float64, or our float32 export if torchvision is missing. In float32
    torchvision itself finds fewer of the reference's detections than all, because rounding decides between
    proposals of nearly equal logits; what it finds is the measure for the other sides.
    """
    answers = {}
    for name in [EXACT, *names] if EXACT in sides.workers else list(names):
        try:
            sides.workers[name].call("answer", file=str(folder / "answer.npz"))
        except SideFailed as error:
            # Leave out a peer that cannot do it.
            if name.startswith(OURS):
                raise
            sides.drop(name, str(error))
            names.remove(name)
            continue
        with np.load(folder / "answer.npz") as arrays:
            answers[name] = dict(arrays)
    first = next(name for name in (EXACT, f"{EAGER} float32", f"{OURS} float32") if name in answers)
    reference, rounded = answers[first], answers.get(f"{EAGER} float32")
    total = len(reference["scores"])
    if not total:
        sys.exit(f"{first} detects nothing in this image; nothing is timed.")
    reachable = agreeing(rounded, reference) / total if rounded else 1.0
    if first == EXACT:
        sides.drop(EXACT)
        answers.pop(EXACT)
    for name, answer in answers.items():
        found = len(answer["scores"])
        if name.endswith("float32"):
            count, fewest, what = agreeing(answer, reference), reachable - SLACK, "agree with"
        else:
            count, fewest = found_again(answer, reference), FEWEST_AGAIN
            what = "find again (same class, IoU 0.8)"
        report.say(f"agreement of {name}", count, f"{name}: {found} {what} {count} of {total} of {first}")
        # Detections beyond the number of the reference count as wrong.
        if count < fewest * max(found, total):
            if name.startswith(OURS):
                sys.exit(f"{name} gives other detections than {first}; nothing is timed.")
            sides.drop(name, f"it gives other detections than {first}")
            names.remove(name)


def show_profile(profile, report):
    """Print the time outside convolutions and matrix products."""
    whole = sum(profile["operations"].values())
    share = 1 - profile["arithmetic"] / whole
    report.say(
        "outside arithmetic",
        share,
        f"outside convolutions and matrix products: {share:.1%} of the operations' time (one operation after "
        f"another, {1000 * whole:.1f} ms of {1000 * profile['wall']:.1f} ms)",
    )
    table = [
        {"operation": kind, "ms": 1000 * seconds, "share": seconds / whole}
        for kind, seconds in itertools.islice(profile["operations"].items(), 12)
    ]
    report.table("operations", table, ".2f", ".1%")


def sizes(options, sides, folder, report):
    """Measure what more images and larger ones cost; each figure comes from its own process."""
    (folder / "models").mkdir()
    preparation = sides.ours("preparation", "preparation")

    def measure(count, short):
        model = folder / "models" / str(short)
        if not model.exists():
            preparation.call(
                "export",
                model=options.model,
                state=None,
                folder=str(model),
                precision=options.precision,
                image_size=[short, 2 * short],
            )
        file = str(folder / "images.npz")
        preparation.call("picture", file=file, count=count, size=[short, short * 4 // 3])
        worker = sides.ours("one", "saved_model", folder=str(model), file=file)
        taken, _ = sides.in_turns(["one"], options.rounds)
        memory = worker.call("memory")
        sides.drop("one")
        return summary(taken["one"]), memory

    report.table("sizes", scaling.table(measure, SHORT_SIDES), *scaling.FORMATS)
    sides.drop("preparation")


if __name__ == "__main__":
    main()
