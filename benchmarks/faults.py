"""Pull the plug on trainings, and compare what they leave with trainings that ran through.

    python benchmarks/faults.py [--cases NAME ...] [--kills N] [--seed N]

Every case trains a small network on drawn scenes: once without a fault, then again with SIGKILL at random
moments, going on with `train.py --resume` after each. Both have to end with the same weights, scores and
logs, bit for bit. Then checkpoints are cut off and changed, and a disk runs full (that part needs the right
to mount a file system). It ends with the cost of a checkpoint and the time to the middle of an epoch.
"""

import argparse
import csv
import json
import math
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import h5py
import keras
import numpy as np

import keras_frcnn as kf
from keras_frcnn import drawing
from keras_frcnn.callbacks import checkpoint_files
from keras_frcnn.data.splitting import part

ROOT = Path(__file__).resolve().parents[1]
SIZE = (96, 128)
TRAIN, VAL = 22, 6
SMALL = {
    "backbone": "tiny_fpn",
    "backbone_weights": "none",
    "image_size": list(SIZE),
    "epochs": 16,
    "warmup_steps": 4,
    "checkpoint_minutes": 0.03,
    "detector": {"rpn_pre_nms": [200, 100], "rpn_post_nms": [100, 50], "head_units": [64, 64]},
}
EXTERNAL = {"backbone": "zf", "detector": {"head_units": [64, 64]}}
# For each case: the arguments of train.py, what its configuration changes, and the number of kills.
CASES = {
    "float32": ("", {}, 20),
    "float16": ("--mixed-precision float16", {"epochs": 3}, 3),  # slow on a CPU
    "bfloat16": ("--mixed-precision bfloat16", {}, 3),
    "accumulation and EMA": (None, {}, 3),
    # Ten epochs of ten batches, while an epoch of the data has eleven.
    "steps": ("--steps 100 --batch-size 2", {"epochs": 1}, 3),
    "staged": ("--model sppnet --proposals {folder}/proposals", {**EXTERNAL, "epochs": 8}, 3),
    "alternating": ("--schedule alternating", {"epochs": 6, "detector": {"head_units": [64, 64]}}, 3),
}


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cases", nargs="*", choices=CASES, default=list(CASES))
    parser.add_argument("--kills", type=int, help="kills in each case, instead of its own number")
    parser.add_argument("--seed", type=int, default=0, help="seed of the moments")
    parser.add_argument("--fit", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.fit:
        return fit_with_average(options.fit)
    moments = random.Random(options.seed)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for split, count in (("train", TRAIN), ("val", VAL)):
            write_voc(folder / "voc", split, count)
        if "staged" in options.cases:
            sets = [f"--data=voc:{folder}/voc@{split}" for split in ("train", "val")]
            command = [sys.executable, "-m", "keras_frcnn", "proposals", *sets, "--top", "100"]
            subprocess.run(
                [*command, "--output", folder / "proposals"], check=True, stdout=subprocess.DEVNULL
            )
        failed = [name for name in options.cases if not case(name, folder, options.kills, moments)]
        damaged(next(folder.glob("*-whole/**/checkpoints")))
        disk_full(folder)
        cost(folder)
        middle_of_an_epoch(folder)
    if failed:
        sys.exit(f"Not the same after interruptions: {', '.join(failed)}.")


def write_voc(root, split, count):
    """Write drawn scenes as a VOC folder."""
    for name in ("JPEGImages", "Annotations", "ImageSets/Main"):
        (root / name).mkdir(parents=True, exist_ok=True)
    dataset = kf.data.load(f"shapes@{split}")
    for index in range(count):
        record = dataset.records[index]
        drawing.write(root / "JPEGImages" / f"{split}{index}.jpg", dataset.image(index))
        objects = "".join(
            f"<object><name>{dataset.class_names[label]}</name><bndbox><xmin>{x1 + 1}</xmin><ymin>{y1 + 1}"
            f"</ymin><xmax>{x2}</xmax><ymax>{y2}</ymax></bndbox></object>"
            for label, (x1, y1, x2, y2) in zip(record.labels, np.rint(record.boxes).astype(int))
        )
        size = f"<size><width>{record.width}</width><height>{record.height}</height></size>"
        text = f"<annotation>{size}{objects}</annotation>"
        (root / "Annotations" / f"{split}{index}.xml").write_text(text)
    names = "\n".join(f"{split}{index}" for index in range(count))
    (root / "ImageSets" / "Main" / f"{split}.txt").write_text(names)


def case(name, folder, kills, moments):
    """Train without a fault and with kills, and return whether both left the same."""
    words, changes, usual = CASES[name]
    kills = usual if kills is None else kills
    whole, broken = (folder / f"{name.replace(' ', '-')}-{kind}" for kind in ("whole", "broken"))
    began = time.monotonic()
    run(start(words, changes, whole, folder))
    seconds = time.monotonic() - began
    print(f"\n{name}: {seconds:.0f} s without a fault", flush=True)
    done = 0
    while done < kills:
        # Every third one waits until a file is being written.
        watched = broken if done % 3 == 2 else None
        killed = run(start(words, changes, broken, folder), moments.uniform(0.15, 0.65) * seconds, watched)
        if not killed:
            # It ended before its moment: the next attempt begins a new run.
            if not same(whole, broken):
                return False
            print(f"  ended before its moment, the same; {done} kills so far", flush=True)
            shutil.rmtree(broken)
            continue
        done += 1
        print(f"  kill {done}: {moment(broken)}", flush=True)
    run(start(words, changes, broken, folder))
    equal = same(whole, broken)
    print(f"  after {kills} kills: {'the same to the bit' if equal else 'NOT THE SAME'}", flush=True)
    return equal


def start(words, changes, output, folder):
    """The command that begins a run, or goes on with it."""
    if words is None:
        return [sys.executable, __file__, "--fit", output]
    if (output / "config.yaml").exists():
        return [sys.executable, ROOT / "train.py", "--resume", output]
    config = folder / f"{output.name}.yaml"
    config.write_text(json.dumps({**SMALL, **changes}))
    sets = [f"--{split}=voc:{folder}/voc@{split}" for split in ("train", "val")]
    arguments = words.format(folder=folder).split()
    return [sys.executable, ROOT / "train.py", *sets, *arguments, "--config", config, "--output", output]


def run(command, seconds=None, watched=None):
    """Run a command, and return whether it was killed.

    Args:
        command: list of words; the last one is the run folder.
        seconds: when to kill it; never by default.
        watched: folder in which an unfinished file or folder has to be, too.
    """
    output = Path(command[-1]).parent / f"{Path(command[-1]).name}.txt"
    moment = math.inf if seconds is None else time.monotonic() + seconds
    with open(output, "a") as file:
        process = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT, cwd=output.parent)
        while process.poll() is None:
            if time.monotonic() > moment and (watched is None or any(watched.glob("**/.*.partial*"))):
                process.kill()
                process.wait()
                return True
            time.sleep(0.002)
    if process.returncode:
        sys.exit(f"{output.read_text()[-3000:]}\n{command} failed.")
    return False


def moment(folder):
    """Say what a killed run was doing."""
    lines = Path(f"{folder}.txt").read_text().strip().splitlines()
    saving = any(folder.glob("**/.*.partial*"))
    count = len(list(folder.glob("**/checkpoints/step-*")))
    what = ", while saving" if saving else ""
    return f"{count} checkpoints{what}; last said: {lines[-1][:80] if lines else ''}"


def fit_with_average(folder):
    """Train in a script of one's own, with an average of the weights, which no recipe has."""
    train, val = (kf.data.load(f"voc:{folder.parent}/voc@{split}") for split in ("train", "val"))
    keras.utils.set_random_seed(0)
    model = kf.FasterRCNN(train.class_names, "tiny_fpn", "none", image_size=SIZE, head_units=(64, 64))
    average = {"use_ema": True, "ema_momentum": 0.9, "gradient_accumulation_steps": 3}
    model.compile(keras.optimizers.AdamW(0.001, **average))
    model.fit(
        train.batches(4, image_size=SIZE, training=True),
        epochs=16,
        shuffle=False,
        verbose=0,
        callbacks=[
            kf.callbacks.DetectionMetrics(val, every=3),
            keras.callbacks.CSVLogger(folder.with_suffix(".csv")),
            kf.callbacks.Checkpoint(folder / "checkpoints", every_minutes=0.03),
        ],
    )
    model.save(folder / "last.keras")


def same(first, second):
    """Whether two runs left the same weights, logs and scores."""
    files = sorted(path.relative_to(first) for path in first.rglob("*") if compared(path.relative_to(first)))
    others = sorted(
        path.relative_to(second) for path in second.rglob("*") if compared(path.relative_to(second))
    )
    different = [
        path for path in files if path in others and contents(first / path) != contents(second / path)
    ]
    different += sorted(set(files) ^ set(others))
    if different:
        print(f"  different: {', '.join(map(str, different))}")
    return bool(files) and not different


def compared(path):
    return path.suffix in (".keras", ".csv", ".json", ".npz") and "checkpoints" not in path.parts


def contents(path):
    """What a file holds, without dates and times."""
    if path.suffix == ".keras":
        with zipfile.ZipFile(path) as archive, archive.open("model.weights.h5") as weights:
            found = {}
            h5py.File(weights).visititems(
                lambda name, item: (
                    found.update({name: item[()].tobytes()}) if hasattr(item, "dtype") else None
                )
            )
            return found
    if path.suffix == ".json":
        return {key: value for key, value in json.loads(path.read_text()).items() if "seconds" not in key}
    if path.suffix == ".npz":
        with np.load(path) as arrays:
            return {name: arrays[name].tobytes() for name in arrays.files}
    with open(path) as file:
        return list(csv.reader(file))


def damaged(checkpoints):
    """Cut a checkpoint off at every tenth of its length, flip bits of it, and see that it is not loaded."""
    older, newer = checkpoint_files.all_of(checkpoints)[-2:]
    tries = loaded = 0
    for file in sorted(newer.iterdir()):
        whole = file.read_bytes()
        bits = random.Random(0).sample(range(8 * len(whole)), 20)
        wrong = [whole[: len(whole) * tenth // 10] for tenth in range(10)]
        wrong += [flipped(whole, bit) for bit in bits]
        for contents in wrong:
            file.write_bytes(contents)
            tries += 1
            try:
                checkpoint_files.read(newer)
                loaded += 1
            except checkpoint_files.Damaged:
                pass
        if checkpoint_files.newest(checkpoints)[0] != older:
            sys.exit("The checkpoint before a damaged one was not taken.")
        file.write_bytes(whole)
    print(f"\n{tries} damaged checkpoints, {loaded} of them loaded")
    if loaded or checkpoint_files.newest(checkpoints)[0] != newer:
        sys.exit("A damaged checkpoint was loaded, or a whole one was not.")


def flipped(contents, bit):
    changed = bytearray(contents)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def disk_full(folder):
    """Train into a small file system until it is full."""
    small = folder / "small"
    small.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", small]
    if subprocess.run(mount, capture_output=True).returncode:
        print("Disk full: not tried, for this user may not mount a file system.")
        return
    try:
        command = start("", {"epochs": 3}, small / "run", folder)
        (small / "filler").write_bytes(b"")
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=folder
        )
        # Leave room for the first checkpoint, and none for the one after it.
        while process.poll() is None and not list(small.glob("run/checkpoints/step-*")):
            time.sleep(0.01)
        with open(small / "filler", "wb", buffering=0) as filler:
            try:
                while True:
                    filler.write(b"0" * 65536)
            except OSError:
                pass
        said = process.communicate()[0].strip().splitlines()
        print(f"Disk full, status {process.returncode}: {said[-1]}")
        if "Traceback" in "\n".join(said) or not process.returncode:
            sys.exit("A full disk did not end with one sentence.")
        found = checkpoint_files.newest(small / "run" / "checkpoints")
        if found is None:
            sys.exit("No whole checkpoint is left on the full disk.")
        print(f"  {found[0].name} is whole")
    finally:
        subprocess.run(["umount", "-l", small])


def cost(folder):
    """Print what a checkpoint of networks of all sizes costs."""
    for backbone in ("tiny_fpn", "mobilenet_v2_fpn", "resnet50_fpn", "vgg16"):
        model = kf.FasterRCNN(["a"], backbone, "none", image_size=(64, 80))
        model.compile(keras.optimizers.AdamW(1e-5))
        model.optimizer.build(model.trainable_variables)
        variables = [*model.variables, *model.optimizer.variables]
        began = time.monotonic()
        arrays = {f"{index:04d}": variable.numpy() for index, variable in enumerate(variables)}
        path = checkpoint_files.write(folder / "cost", "step-0", arrays, {}, keep=1)
        seconds = time.monotonic() - began
        size = sum(file.stat().st_size for file in path.iterdir()) / 1e6
        print(
            f"A checkpoint of {backbone}: {seconds:.2f} s, {size:.0f} MB, {seconds / 300:.2%} of five minutes"
        )


def middle_of_an_epoch(folder):
    """Time to the first batch of an epoch of 1,000 images, from its begin and from its middle."""
    train = kf.data.load(f"voc:{folder}/voc@train")
    dataset = part(train, [*range(len(train))] * (1000 // TRAIN + 1), train.name)
    for first in (0, len(dataset) // 8):
        began = time.monotonic()
        next(iter(dataset.batches(4, image_size=SIZE, training=True, first_batch=first, cache=False)))
        seconds = time.monotonic() - began
        print(f"{len(dataset)} images, batches of 4: batch {first} after {seconds:.2f} s")


if __name__ == "__main__":
    main()
