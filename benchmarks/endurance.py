"""Watch memory and traces over a long training, and call one detector from many threads.

    python benchmarks/endurance.py [--steps 2000] [--calls 2000] [--threads 8]

A small network trains on drawn scenes with an evaluation every 200 steps. After it, threads call `detect`
with images of 40 sizes; every answer is compared with that of a call from one thread alone. Memory is the
resident set of the process; it has to stay within 5 percent from step 400 on, and during the calls.
"""

import argparse
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf

import keras_frcnn as kf
from keras_frcnn.data.readers import shapes

SIZE = (96, 128)
EVERY = 200
BATCH = 4
SETTLED = 400
SIZES = 40
GROWTH = 1.05


class Counting(kf.FasterRCNN):
    """Counts how often its training step is traced."""

    steps_traced = 0

    def train_step(self, data):
        self.steps_traced += 1  # Python runs only while the step is traced
        return super().train_step(data)

    def traces(self):
        """Number of traces of the training step and of `detect`."""
        return self.steps_traced + self.detect_function.experimental_get_tracing_count()


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--calls", type=int, default=2000)
    parser.add_argument("--threads", type=int, default=8)
    options = parser.parse_args()
    if options.steps < SETTLED:
        parser.error(f"--steps is {options.steps}; memory settles in {SETTLED}.")
    kf.keep_memory()
    keras.utils.set_random_seed(0)
    # All scenes are drawn, and then kept, before memory is watched.
    train, val = shapes.load("train", EVERY * BATCH), shapes.load("val")
    model = Counting(train.class_names, "tiny_fpn", "none", image_size=SIZE, head_units=(128, 128))
    model.compile(keras.optimizers.AdamW(0.001, global_clipnorm=10.0))
    faults = [*long_training(model, train, val, options.steps), *many_threads(model, val, options)]
    if faults:
        sys.exit("\n".join(faults))


def long_training(model, train, val, steps):
    """Train and evaluate in turn; return what was wrong."""
    watch = Watch()
    model.fit(
        train.batches(BATCH, image_size=SIZE, training=True).repeat(),
        epochs=steps // EVERY,
        steps_per_epoch=EVERY,
        shuffle=False,
        verbose=0,
        callbacks=[kf.callbacks.DetectionMetrics(val), watch],
    )
    return watch.faults()


class Watch(keras.callbacks.Callback):
    """Note memory and traces after every epoch."""

    def __init__(self):
        super().__init__()
        self.memory, self.traces = {}, {}

    def on_epoch_end(self, epoch, logs=None):
        step = (epoch + 1) * EVERY
        self.memory[step], self.traces[step] = resident(), self.model.traces()
        score = f"AP50 {logs['val_voc_ap50']:.3f}"
        print(f"step {step}: {self.memory[step]:.0f} MB, {self.traces[step]} traces, {score}", flush=True)

    def faults(self):
        """What is wrong with the notes, as sentences."""
        settled = {step: value for step, value in self.memory.items() if step >= SETTLED}
        ratio = max(settled.values()) / settled[SETTLED]
        print(f"Memory from step {SETTLED} on: at most {ratio:.3f} of it there")
        found = [f"Memory grew to {ratio:.3f} of step {SETTLED}."] if ratio > GROWTH else []
        if len({self.traces[step] for step in settled}) > 1:
            found.append(f"The number of traces changed: {self.traces}.")
        return found


def many_threads(model, val, options):
    """Call `detect` from many threads; return what was wrong."""
    rng = np.random.default_rng(0)
    pictures = [
        tf.image.resize(val.image(index), rng.integers(60, 300, 2)).numpy().astype(np.uint8)
        for index in range(SIZES)
    ]
    expected = [model.detect(picture) for picture in pictures]
    before, traced = resident(), model.traces()

    def call(number):
        answer = model.detect(pictures[number % SIZES])
        return all(np.array_equal(answer[name], expected[number % SIZES][name]) for name in answer)

    with ThreadPoolExecutor(options.threads) as threads:
        wrong = options.calls - sum(threads.map(call, range(options.calls)))
    ratio = resident() / before
    count = sum(len(one["labels"]) for one in expected)
    print(
        f"{options.calls} calls of detect, {SIZES} sizes with {count} detections, {options.threads} threads: "
        f"{wrong} wrong answers; memory {before:.0f} MB, {ratio:.3f} of it at the end; "
        f"{model.traces() - traced} new traces"
    )
    found = [f"{wrong} answers differ from those of one thread."] if wrong else []
    if ratio > GROWTH:
        found.append(f"Memory grew to {ratio:.3f} during the calls.")
    if model.traces() != traced:
        found.append("Calls made new traces.")
    return found


def resident():
    """Resident memory of this process, MB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


if __name__ == "__main__":
    main()
