"""Damage model and weight files at random, load them as users do, and count what comes of it.

    python benchmarks/damaged_files.py [--count 100] [--seed 0] [--kinds keras weights ...]

A small detector is trained and exported. For each kind, copies of its files are made, one file of a copy is
changed, and a process of its own loads it. In every second `.keras` file the change is inside a member of the
zip, whose checksum is right. "same" has the numbers of the clean file; "other" has other ones, which no
format without checksums can tell; "refused" is one sentence of this package. The rest must not happen: "raw"
is any other exception, "wrong" has numbers that are not finite, "slow" takes five seconds more than the clean
file, "crash" ended the process. The first of each is printed, and kept with `--keep FOLDER`.
"""

import argparse
import collections
import contextlib
import io
import json
import multiprocessing
import os
import random
import shutil
import tempfile
import time
import traceback
import warnings
import zipfile
from pathlib import Path
from unittest import mock

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
from measures.damage import changed_somewhere

import keras_frcnn as kf
from keras_frcnn.callbacks import checkpoint_files
from keras_frcnn.commands import convert, train
from keras_frcnn.commands.detectors import load_detector
from keras_frcnn.data import proposals
from keras_frcnn.training import recipe_files
from keras_frcnn.weights import to_torchvision

SLOW, HANGS = 5.0, 120.0
# Loads of one process: TensorFlow keeps the functions of every SavedModel, and the next one takes longer.
LOADS = 10
OUTCOMES = ("same", "other", "refused", "raw", "wrong", "slow", "crash")
TORCHVISION = "fasterrcnn_mobilenet_v3_large_320_fpn"
SETS = ["--train", "shapes@train", "--image-size", "64", "80"]


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=100, help="damaged files of each kind")
    parser.add_argument("--seed", type=int, default=0, help="seed of the changes")
    parser.add_argument("--kinds", nargs="*", choices=KINDS, default=list(KINDS))
    parser.add_argument("--keep", type=Path, help="folder for the files that show what must not happen")
    options = parser.parse_args()
    print(f"{'kind':12}" + "".join(f"{name:>9}" for name in OUTCOMES))
    with tempfile.TemporaryDirectory() as temporary:
        clean = Path(temporary) / "clean"
        write_all(clean, options.kinds)
        before = digests(clean)
        for kind in options.kinds:
            counts, shown = collections.Counter(), set()
            chance = random.Random(f"{options.seed} {kind}")
            loader = Loader(kind, clean / kind)
            for number in range(options.count):
                copy = Path(temporary) / f"{kind}-{number}"
                shutil.copytree(clean / kind, copy)
                file = damage(copy, KINDS[kind][0], chance)
                outcome, detail = loader.load(copy)
                counts[outcome] += 1
                if outcome in OUTCOMES[3:] and (outcome, detail[:40]) not in shown:
                    shown.add((outcome, detail[:40]))
                    print(f"  {kind} {number}, {file.relative_to(copy)}: {outcome}, {detail}", flush=True)
                    if options.keep:
                        shutil.copytree(copy, options.keep / f"{kind}-{number}", dirs_exist_ok=True)
                shutil.rmtree(copy)
            loader.close()
            print(f"{kind:12}" + "".join(f"{counts[name]:9}" for name in OUTCOMES), flush=True)
        print("The clean files are unchanged." if digests(clean) == before else "CLEAN FILES HAVE CHANGED.")


def digests(folder):
    return {path: hash(path.read_bytes()) for path in folder.rglob("*") if path.is_file()}


def damage(folder, pattern, chance):
    """Change one of the files that match; return its path."""
    files = sorted(path for path in folder.glob(pattern) if path.is_file() and path.stat().st_size)
    file = chance.choice(files)
    if file.suffix == ".keras" and chance.random() < 0.5:
        with zipfile.ZipFile(file) as archive:
            members = {name: archive.read(name) for name in archive.namelist()}
        name = chance.choice(list(members))
        members[name] = changed_somewhere(members[name], chance)
        with zipfile.ZipFile(file, "w") as archive:
            for name, contents in members.items():
                archive.writestr(name, contents)
    else:
        file.write_bytes(changed_somewhere(file.read_bytes(), chance))
    return file


class Loader:
    """A process that loads folders of one kind; when it dies, a new one takes its place."""

    def __init__(self, kind, clean):
        self.kind, self.clean, self.process, self.loads = kind, clean, None, 0

    def load(self, folder):
        """Load a folder; return the outcome and a text about it."""
        if self.loads == LOADS:
            self.close()
        if self.process is None:
            self.loads = 0
            context = multiprocessing.get_context("spawn")
            self.connection, other = context.Pipe()
            self.process = context.Process(target=work, args=(other, self.kind, self.clean), daemon=True)
            self.process.start()
            other.close()
            self.connection.recv()  # the clean files are loaded
        self.loads += 1
        self.connection.send(folder)
        try:
            if self.connection.poll(HANGS):
                return self.connection.recv()
            outcome = "slow", f"more than {HANGS:.0f} s"
        except EOFError:
            self.process.join()
            outcome = "crash", f"exit status {self.process.exitcode}"
        self.close()
        return outcome

    def close(self):
        if self.process is not None:
            self.process.kill()
            self.process.join()
        self.process = None


def work(connection, kind, clean):
    """Load the folders that come, and send what came of each."""
    warnings.simplefilter("ignore")
    load = KINDS[kind][1]
    with contextlib.redirect_stdout(io.StringIO()):
        expected = load(clean)
        started = time.monotonic()
        load(clean)
    usual = time.monotonic() - started
    connection.send("ready")
    while True:
        folder = connection.recv()
        outcome, seconds = "", 0.0
        for _ in range(2):  # once more where it took long: other processes may have held it up
            keras.backend.clear_session()
            started = time.monotonic()
            outcome = once(load, folder, expected)
            seconds = time.monotonic() - started
            if seconds < usual + SLOW:
                break
        connection.send(outcome if seconds < usual + SLOW else ("slow", f"{seconds:.1f} s, {outcome}"))


def once(load, folder, expected):
    """Load a folder; return the outcome and a text about it."""
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
            found = load(folder)
    except SystemExit as error:  # a command
        lines = said.getvalue().strip().splitlines()
        return ("refused", "") if error.code == 2 or len(lines) == 1 else ("raw", f"said {lines[:3]}")
    except (ValueError, OSError) as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        if "keras_frcnn" not in last.filename or "\n" in str(error):
            return "raw", f"{type(error).__name__} ({str(error)[:300]}; {last.filename}:{last.lineno})"
        return "refused", ""
    except BaseException as error:  # what this program looks for
        last = traceback.extract_tb(error.__traceback__)[-1]
        return "raw", f"{type(error).__name__} ({str(error)[:300]}; {last.filename}:{last.lineno})"
    for name, value in found.items():
        if value.dtype.kind == "f" and not np.isfinite(value).all():
            return "wrong", f"{name} is not finite"
    same = found.keys() == expected.keys() and all(
        np.array_equal(value, expected[name]) for name, value in found.items()
    )
    return ("same" if same else "other"), ""


class Built(Exception):
    """Ends `train.py` where training would begin; its arguments are the recipe and the model."""


def built(words):
    """What `train.py` with these words would train, as named arrays."""

    def stop(recipe, model, *others):
        raise Built(recipe, model)

    try:
        with mock.patch.object(train, "fit", stop):
            train.main(words)
    except Built as error:
        recipe, model = error.args
        return {**numbers(model), "recipe": np.array(recipe_files.to_yaml(recipe))}
    raise AssertionError("the command ended before training")


def numbers(model):
    """The weights and arguments of a model as named arrays."""
    weights = {weight.path: weight.numpy() for weight in model.weights}
    return {**weights, "arguments": np.array(json.dumps(dict(model.arguments), default=str))}


def load_export(folder):
    detector = kf.export.load(folder)
    answer = detector.detect(np.random.default_rng(0).integers(0, 256, [64, 80, 3], np.uint8))
    return {**answer, "classes": np.array(detector.class_names)}


def load_weights(folder):
    network = kf.backbones.get("tiny_fpn", str(folder / "own.weights.h5")).network
    return {str(index): weight for index, weight in enumerate(network.get_weights())}


def load_converted(folder):
    with tempfile.TemporaryDirectory() as elsewhere:
        words = ["torchvision", TORCHVISION, str(folder / "state.safetensors"), f"{elsewhere}/a.keras"]
        return numbers(convert.main(words))


def load_checkpoint(folder):
    found = checkpoint_files.newest(folder / "run/checkpoints")
    if found is None:
        raise SystemExit(2)  # it is said, and training begins anew
    return found[1]


# For each kind: the files that are changed, and the function that loads a folder.
KINDS = {
    "keras": ("last.keras", lambda folder: numbers(load_detector(folder / "last.keras"))),
    "init": ("last.keras", lambda folder: built([*SETS, "--init", str(folder / "last.keras")])),
    "weights": ("own.weights.h5", load_weights),
    "proposals": ("*.npz", proposals.load),
    "safetensors": ("state.safetensors", load_converted),
    "export": ("**/*", load_export),
    "config": ("run/config.yaml", lambda folder: built(["--resume", str(folder / "run")])),
    "checkpoint": ("run/checkpoints/*/*", load_checkpoint),
}


def write_all(root, kinds):
    """Write the clean files of each kind into a folder of its name."""
    for kind in kinds:
        (root / kind).mkdir(parents=True)
    small = ["--backbone", "tiny_fpn", "--backbone-weights", "none", "--steps", "1", "--batch-size", "1"]
    run = root.parent / "run"
    with contextlib.redirect_stdout(io.StringIO()):
        train.main([*SETS, *small, "--output", str(run)])
    model = load_detector(run / "last.keras")
    for kind in {"keras", "init"} & {*kinds}:
        shutil.copy(run / "last.keras", root / kind)
    for kind in {"config", "checkpoint"} & {*kinds}:
        shutil.copytree(run, root / kind / "run")
    if "weights" in kinds:
        model.backbone.save_weights(root / "weights/own.weights.h5")
    if "proposals" in kinds:
        boxes = np.random.default_rng(0).uniform(0, 99, [6, 40, 4])
        proposals.save_shard(root / "proposals/a.npz", range(6), list(boxes))
    if "export" in kinds:
        kf.export.saved_model(model, root.parent / "1")
        shutil.copytree(root.parent / "1", root / "export", dirs_exist_ok=True)
    if "safetensors" in kinds:
        names = [f"class {number}" for number in range(90)]
        detector = kf.FasterRCNN(names, backbone="mobilenet_v3_large_320_fpn", backbone_weights="none")
        write_safetensors(root / "safetensors/state.safetensors", to_torchvision(detector))


def write_safetensors(file, state):
    """Write tensors in the format of github.com/huggingface/safetensors."""
    header, end = {}, 0
    for name, value in state.items():
        start, end = end, end + value.nbytes
        kind = {"float32": "F32", "int64": "I64"}[value.dtype.name]
        header[name] = {"dtype": kind, "shape": list(value.shape), "data_offsets": [start, end]}
    text = json.dumps(header).encode()
    with open(file, "wb") as writing:
        writing.write(len(text).to_bytes(8, "little") + text)
        for value in state.values():
            writing.write(value.tobytes())


if __name__ == "__main__":
    main()
