"""How many images a second the input pipeline makes, and how long training waits for it.

    python benchmarks/input_pipeline.py [--data SPEC] [--image-size 600 1000] [--batch-size 4]
                                        [--backbone NAME] [--json FILE]

Each row does what the one before it does, and more: read the files, decode, resize and batch (as in
validation), mirror (as in training), distort and crop. Then batches for training from decoded images in
memory. CPU time is that of all threads. With --backbone also the share of a training step spent waiting.
"""

import argparse
import json
import math
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import tensorflow as tf

import keras_frcnn as kf
from keras_frcnn import profiling
from keras_frcnn.data import memory
from keras_frcnn.data.sources import Files

PASSES = 3
# Small sets go round several times, or starting a pass would be most of it.
LEAST_IMAGES = 300
AUGMENTED = {"photometric": 0.5, "crop": 0.5, "scale_jitter": (0.5, 1.5)}


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", action="append", help="data set; by default shapes@val")
    parser.add_argument("--image-size", type=int, nargs=2, default=(600, 1000))
    parser.add_argument("--batch-size", type=int, default=4)
    parser.add_argument("--backbone", help="network whose training steps wait for input")
    parser.add_argument("--steps", type=int, default=20, help="steps of it that are timed")
    parser.add_argument("--json", type=Path, help="file that gets the figures")
    options = parser.parse_args()
    dataset = kf.data.load(options.data or "shapes@val")
    print(f"{dataset!r} at {tuple(options.image_size)}, batches of {options.batch_size}, ", end="")
    print(f"{os.cpu_count()} cores\n\n{'stage':30}{'images/s':>10}{'ms CPU an image':>18}")
    figures = {"data": dataset.name, "stages": {}}
    for stage, data in stages(dataset, options).items():
        row = figures["stages"][stage] = measure(data, len(dataset))
        print(f"{stage:30}{row['images_per_second']:10.1f}{row['cpu_ms']:18.2f}", flush=True)
    print(f"\nBy default: {memory.decide(dataset)[1]}")
    if options.backbone:
        figures["waiting"] = waiting(dataset, options)
        print(f"Waiting for input, training {options.backbone}: {figures['waiting']:.2%} of a step.")
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


def stages(dataset, options):
    """The data set of each row."""

    def batches(**arguments):
        return dataset.batches(options.batch_size, image_size=options.image_size, **arguments)

    found = {}
    if isinstance(dataset.source, Files):
        paths = tf.data.Dataset.from_tensor_slices(dataset.source.paths)
        found["read"] = paths.map(tf.io.read_file, num_parallel_calls=tf.data.AUTOTUNE)
    found["decode"] = dataset.images()
    found["resize, batch"] = batches(cache=False)
    found["mirror"] = batches(training=True, cache=False)
    found["distort, crop, jitter"] = batches(training=True, cache=False, **AUGMENTED)
    found["mirror, from memory"] = batches(training=True, cache=True)
    found["all of it, from memory"] = batches(training=True, cache=True, **AUGMENTED)
    return found


def measure(data, count):
    """Images a second and milliseconds of CPU an image, medians after a pass that is not counted."""
    rounds = math.ceil(LEAST_IMAGES / count)
    go_through(data)
    walls, cpus = [], []
    for _ in range(PASSES):
        wall, cpu = time.perf_counter(), time.process_time()
        go_through(data.repeat(rounds))
        walls.append(time.perf_counter() - wall)
        cpus.append(time.process_time() - cpu)
    images = rounds * count
    return {
        "images_per_second": images / statistics.median(walls),
        "cpu_ms": 1000 * statistics.median(cpus) / images,
    }


def go_through(data):
    for _ in data:
        pass


def waiting(dataset, options):
    """Share of a training step that passes until its batch is there."""
    model = kf.FasterRCNN(dataset.class_names, backbone=options.backbone, image_size=options.image_size)
    model.compile()
    with tempfile.TemporaryDirectory() as folder:
        step = profiling.profile(model, dataset, options.batch_size, options.steps, Path(folder))["training"]
    return step["parts"]["input"][0] / step["seconds"]


if __name__ == "__main__":
    main()
