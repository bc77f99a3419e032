"""Training steps a second of two workers on one core each, beside one process on one core.

    python benchmarks/workers.py [--data SPEC] [--backbone NAME] [--image-size 240 320] [--steps N]

Both train on the same batches, with the same global batch size. Input is decoded in each step, not kept.
Rounds take turns; the last line has the medians. Needs two cores, and Linux.
"""

import argparse
import json
import os
import socket
import statistics
import subprocess
import sys
import time
from pathlib import Path

WARM_UP = 5


def main(arguments=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", default="shapes@train", help="spec of a set")
    parser.add_argument("--backbone", default="tiny_fpn")
    parser.add_argument("--batch-size", type=int, default=4, help="of all workers together")
    parser.add_argument("--image-size", type=int, nargs=2, default=(240, 320))
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--role", choices=("alone", "worker"), help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.role:
        print(json.dumps(seconds_of_a_step(options)))
        return
    cores = sorted(os.sched_getaffinity(0))[:2]
    if len(cores) < 2:
        sys.exit("Two workers on one core each need two cores.")
    words = sys.argv[1:] if arguments is None else list(arguments)
    alone, two = [], []
    for _ in range(options.rounds):
        alone.append(run(words, "alone", cores[:1]))
        two.append(run(words, "worker", cores))
        print(
            f"one process {1000 * alone[-1]:.0f} ms, two workers {1000 * two[-1]:.0f} ms a step", flush=True
        )
    one, both = statistics.median(alone), statistics.median(two)
    print(
        f"{options.batch_size / one:.1f} images a second in one process, {options.batch_size / both:.1f} in "
        f"two workers: {one / both:.2f} times as many"
    )


def run(words, role, cores):
    """Start a process on each core; return the seconds of a step of the slowest."""
    holders = [socket.create_server(("127.0.0.1", 0)) for _ in cores]
    names = [f"127.0.0.1:{holder.getsockname()[1]}" for holder in holders]
    for holder in holders:
        holder.close()
    processes = []
    for index, core in enumerate(cores):
        task = {"cluster": {"worker": names}, "task": {"type": "worker", "index": index}}
        environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "TF_CONFIG": json.dumps(task)}
        command = ["taskset", "-c", str(core), sys.executable, Path(__file__), *words, "--role", role]
        processes.append(subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True))
    while any(process.poll() is None for process in processes):
        time.sleep(0.1)
        if any(process.returncode for process in processes):
            for process in processes:
                process.kill()  # it would wait for the other one
            sys.exit("A worker has failed; its message stands above.")
    outputs = [process.communicate()[0] for process in processes]
    return max(json.loads(output.splitlines()[-1]) for output in outputs)


def seconds_of_a_step(options):
    """Train, and return the median time of a step after the first ones."""
    import keras
    import tensorflow as tf

    import keras_frcnn as kf

    kf.keep_memory()
    if options.role == "worker":
        strategy = tf.distribute.MultiWorkerMirroredStrategy()
    else:
        strategy = tf.distribute.get_strategy()
    train = kf.data.load(options.data)
    with strategy.scope():
        model = kf.FasterRCNN(
            train.class_names, options.backbone, image_size=options.image_size, frozen_batch_norm=True
        )
        model.compile()
    batches = train.batches(
        options.batch_size,
        image_size=options.image_size,
        training=True,
        cache=False,
        drop_remainder=True,
    )
    times = []

    class Clock(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            times.append(time.monotonic())
            self.model.stop_training = len(times) > options.steps + WARM_UP

    model.fit(batches, epochs=sys.maxsize, verbose=0, callbacks=[Clock()])
    times = times[WARM_UP : WARM_UP + options.steps + 1]
    return statistics.median(after - before for before, after in zip(times, times[1:]))


if __name__ == "__main__":
    main()
