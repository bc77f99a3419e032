"""Measure the images per second of the input pipeline, and how long training waits for it.

    python benchmarks/input_pipeline.py [--data SPEC] [--image-size 600 1000] [--batch-size 4]
                                        [--backbone NAME] [--json FILE]

Each row adds work to the one before it: read the files, decode, resize and batch (as in validation), mirror
(as in training), distort and crop. The last rows make training batches from decoded images in memory. CPU
time is that of all threads. --backbone adds the share of a training step spent waiting.
"""

import argparse
import math
import os
import tempfile
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import tensorflow as tf
from measures.report import Report, summary

import keras_frcnn as kf
from keras_frcnn import profiling
from keras_frcnn.data import memory
from keras_frcnn.data.sources import Files

PASSES = 3
# Repeat small sets, or most of the time would go into starting a pass.
LEAST_IMAGES = 300
AUGMENTED = {"photometric": 0.5, "crop": 0.5, "scale_jitter": (0.5, 1.5)}


def main(arguments=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", action="append", help="data set; by default shapes@val")
    parser.add_argument("--image-size", type=int, nargs=2, default=(600, 1000))
    parser.add_argument("--batch-size", type=int, default=4)
    parser.add_argument("--backbone", help="network whose training steps wait for input")
    parser.add_argument("--steps", type=int, default=20, help="steps of it that are timed")
    parser.add_argument("--json", type=Path, help="file that gets the figures")
    options = parser.parse_args(arguments)
    dataset = kf.data.load(options.data or "shapes@val")
    settings = {"image size": options.image_size, "batch size": options.batch_size}
    report = Report(
        f"Input of {dataset!r} at {tuple(options.image_size)}, batches of {options.batch_size}", settings
    )
    rows = [
        {"stage": stage, **measure(data, len(dataset))} for stage, data in stages(dataset, options).items()
    ]
    report.table("stages", rows, ".1f", ".1f", ".1f", ".2f")
    kept, why = memory.decide(dataset)
    report.say("kept", kept, f"By default: {why}")
    if options.backbone:
        share = waiting(dataset, options)
        report.say(
            "waiting", share, f"Waiting for input, training {options.backbone}: {share:.2%} of a step."
        )
    report.write(options.json)


def stages(dataset, options):
    """Return the data set of each row."""

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
    """Images per second and milliseconds of CPU per image, medians after a warm-up pass."""
    rounds = math.ceil(LEAST_IMAGES / count)
    images = rounds * count
    go_through(data)
    rates, cpus = [], []
    for _ in range(PASSES):
        wall, cpu = time.perf_counter(), time.process_time()
        go_through(data.repeat(rounds))
        rates.append(images / (time.perf_counter() - wall))
        cpus.append(1000 * (time.process_time() - cpu) / images)
    rate = summary(rates)
    return {
        "images/s": rate["median"],
        "slowest": rate["lowest"],
        "fastest": rate["highest"],
        "ms CPU an image": summary(cpus)["median"],
    }


def go_through(data):
    for _ in data:
        pass


def waiting(dataset, options):
    """Share of a training step spent waiting for its batch."""
    model = kf.FasterRCNN(dataset.class_names, backbone=options.backbone, image_size=options.image_size)
    model.compile()
    with tempfile.TemporaryDirectory() as folder:
        step = profiling.profile(model, dataset, options.batch_size, options.steps, Path(folder))["training"]
    return step["parts"]["input"][0] / step["seconds"]


if __name__ == "__main__":
    main()
