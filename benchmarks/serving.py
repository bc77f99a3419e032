"""Measure what serving costs beyond the network: latency and throughput of serving_bytes.

    python benchmarks/serving.py [--model FILE.keras] [--image FILE] [--seconds 10] [--output FILE.json]

Latency: medians of one image through `serving_bytes` of the loaded export, of decoding it, and of calling the
bare model (also with folded batch normalization) on its prepared pixels. The three take turns, so that other
load on the machine affects them alike. Throughput: images per second by the number of threads that call with
one image each, and by the number of images per call, of one shape and of mixed shapes. Without --model:
FasterRCNN over mobilenet_v2_fpn with random weights, 480 × 640.
"""

import argparse
import concurrent.futures
import json
import statistics
import tempfile
import time
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

import keras_frcnn as kf
from keras_frcnn import images as image_ops
from keras_frcnn.data.readers import shapes
from keras_frcnn.export.folding import fold_batch_norm
from keras_frcnn.export.settings import with_settings

CONCURRENCY = (1, 4, 16)
BATCHES = (1, 2, 4, 8)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", type=Path, help=".keras file")
    parser.add_argument(
        "--image", type=Path, help="image file; by default a scene of the shapes set, 480 × 640"
    )
    parser.add_argument("--seconds", type=float, default=10.0, help="of each measurement")
    parser.add_argument("--output", type=Path, help="JSON file that gets the numbers")
    options = parser.parse_args()
    if options.model:
        model = keras.saving.load_model(options.model, compile=False)
    else:
        model = kf.FasterRCNN(["a", "b"], backbone="mobilenet_v2_fpn", image_size=(480, 640))
    contents = options.image.read_bytes() if options.image else scene()
    with tempfile.TemporaryDirectory() as folder:
        model.export(Path(folder) / "1")
        loaded = tf.saved_model.load(str(Path(folder) / "1"))
        serve = loaded.signatures["serving_bytes"]
        results = {"latency_ms": latency(model, serve, contents, options.seconds)}
        results["images_per_second"] = {
            "by_concurrency": {
                threads: throughput(serve, [contents], threads, options.seconds) for threads in CONCURRENCY
            },
            "by_batch": {
                batch: throughput(serve, [contents] * batch, 1, options.seconds) for batch in BATCHES
            },
            "by_batch_of_mixed_shapes": {
                batch: throughput(serve, mixed_shapes(contents, batch), 1, options.seconds)
                for batch in BATCHES[1:]
            },
        }
    report(results)
    if options.output:
        options.output.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")


def scene():
    """A JPEG of 480 × 640 pixels."""
    picture = image_ops.resize(shapes.load("val", 1).image(0), (480, 640))
    return tf.io.encode_jpeg(tf.cast(picture, tf.uint8)).numpy()


def mixed_shapes(contents, count):
    """JPEGs of an image, each cut a little narrower than the one before."""
    image = image_ops.decode(contents)
    widths = np.linspace(image.shape[1], image.shape[1] / 2, count, dtype=int)
    return [tf.io.encode_jpeg(image[:, :width]).numpy() for width in widths]


def latency(model, serve, contents, seconds):
    """Median milliseconds of the whole, of decoding and of the bare model, taken in turns."""
    decode = tf.function(image_ops.decode, input_signature=[tf.TensorSpec([], tf.string)], autograph=False)
    prepared, _ = model.resizing.prepare(decode(contents))
    folded = with_settings(model)
    fold_batch_norm(folded, model)
    specs = [tf.TensorSpec([None, None, None, 3], tf.float32)]
    bare = tf.function(lambda pixels: folded(pixels, training=False), input_signature=specs, autograph=False)
    pixels, one = tf.constant(prepared[None]), tf.constant([contents])
    steps = {
        "serving_bytes": lambda: serve(image_bytes=one)["num_detections"].numpy(),
        "decode": lambda: decode(contents).numpy(),
        "model": lambda: bare(pixels)["num_detections"].numpy(),
    }
    taken = {name: [] for name in steps}
    for step in steps.values():
        step()
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(taken["model"]) < 5:
        for name, step in steps.items():
            start = time.perf_counter()
            step()
            taken[name].append(1000 * (time.perf_counter() - start))
    medians = {name: statistics.median(values) for name, values in taken.items()}
    overheads = [
        whole / (decoding + network) - 1
        for whole, decoding, network in zip(taken["serving_bytes"], taken["decode"], taken["model"])
    ]
    return {**medians, "overhead": statistics.median(overheads), "rounds": len(overheads)}


def throughput(serve, contents, threads, seconds):
    """Images per second of several threads that call with the same images again and again."""
    batch = tf.constant(contents)
    serve(image_bytes=batch)
    start = time.perf_counter()

    def calls(_):
        done = 0
        while time.perf_counter() < start + seconds:
            serve(image_bytes=batch)["num_detections"].numpy()
            done += 1
        return done

    with concurrent.futures.ThreadPoolExecutor(threads) as pool:
        done = sum(pool.map(calls, range(threads)))
    return done * len(contents) / (time.perf_counter() - start)


def report(results):
    taken = results["latency_ms"]
    print(f"latency of one image, medians of {taken['rounds']} rounds, milliseconds")
    for name in ("serving_bytes", "decode", "model"):
        print(f"  {name:14}{taken[name]:9.1f}")
    print(f"  serving_bytes takes {100 * taken['overhead']:+.1f} % over decode and model")
    for name, numbers in results["images_per_second"].items():
        print(f"images a second, {name.replace('_', ' ')}")
        for number, value in numbers.items():
            print(f"  {number:4}{np.round(value, 2):10.2f}")


if __name__ == "__main__":
    main()
