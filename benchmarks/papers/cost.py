"""Measure what each method of the papers costs, and what it finds.

    python benchmarks/papers/cost.py [--images FOLDER]
    python benchmarks/papers/cost.py --accuracy | --ablations [--data FOLDER] [--weights FOLDER]

Without a flag: seconds per image of R-CNN, SPPnet, Fast R-CNN, Fast R-CNN with truncated SVD and Faster
R-CNN, all on VGG16 at 600 px, trained from conv3_1 on (SPPnet from fc6 on). The weights are random,
which costs the same. R-CNN is timed on a sample of its regions and scaled up. The code of both flags is in
`accuracy.py`.
"""

import argparse
import dataclasses
import json
import math
import os
import statistics
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import accuracy
import keras
import numpy as np
import tensorflow as tf

import keras_frcnn as kf
from keras_frcnn import images as image_ops
from keras_frcnn.data.selective_search import selective_search

SIZE = (600, 800)
SHAPES = tf.constant([SIZE])
REGIONS = 2000
RPN_REGIONS = 300
SAMPLE = 128
CLASSES = [f"class {index}" for index in range(20)]
FC = (4096, 4096)
RANKS = (1024, 256)
SPP_BINS = 50
PARTS = ("proposals", "convolutions", "regions")
ROW = "{:18}{:>11}{:>14}{:>10}{:>10}{:>9}{:>13}"


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--accuracy", action="store_true", help="AP50 of every method on BCCD, three seeds")
    what.add_argument("--ablations", action="store_true", help="what single ideas buy, on BCCD")
    parser.add_argument(
        "--images", type=Path, help="folder of images for selective search; by default shapes"
    )
    parser.add_argument("--data", type=Path, default=Path("data"), help="folder of bccd and raccoon")
    parser.add_argument("--weights", type=Path, default=Path("weights"), help="folder of the weights files")
    parser.add_argument("--proposals", type=Path, help="folder that keeps the proposals for bccd")
    parser.add_argument("--json", type=Path, help="file that gets the figures")
    options = parser.parse_args()
    if options.accuracy or options.ablations:
        figures = (accuracy.methods if options.accuracy else accuracy.ablations)(options)
    else:
        figures = costs(options)
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


def costs(options):
    """Time every method and print the tables."""
    proposals = some_boxes(REGIONS)
    search, size = selective_search_seconds(options.images)
    rows = {
        "R-CNN": rcnn(proposals),
        "SPPnet": on_one_map(kf.SPPNet, proposals, fc_macs(SPP_BINS * 512)),
        "Fast R-CNN": on_one_map(kf.FastRCNN, proposals, fc_macs(49 * 512)),
        "Fast R-CNN + SVD": on_one_map(kf.FastRCNN, proposals, fc_macs(49 * 512, RANKS), RANKS),
    }
    for row in rows.values():
        row["test"]["proposals"] = row["training"]["proposals"] = search
    rows["Faster R-CNN"] = faster()
    print(f"\nVGG16, {SIZE[0]} × {SIZE[1]}, float32, {os.cpu_count()} cores; seconds an image.")
    print(f"{REGIONS} proposals an image, of Faster R-CNN {RPN_REGIONS}.")
    print(f"R-CNN: {SAMPLE} regions in batches of 64, scaled up to {REGIONS}.")
    print(f"Selective search: fast, over all cores, on images of {size} pixels in the mean.")
    print_table("test", rows, ("Gmult-add", lambda row: f"{row['macs'] / 1e9:.0f}"))
    print_table("training", rows, ("MB on disk", lambda row: f"{row['disk'] / 1e6:.1f}"))
    print("× is against R-CNN, without proposals. Training: a step of one image; of R-CNN and SPPnet")
    print("also the pass that caches features for the SVMs, whose MB these are. Convolutions have the RPN")
    print("and the update of the weights.")
    print(f"\n{rpn_beside(search)}")
    return rows


def rpn_beside(search):
    """Compare the RPN's time with selective search, and with that of its arithmetic alone."""
    seconds = {dtype: rpn_seconds(dtype) for dtype in ("float32", "mixed_bfloat16")}
    square = tf.random.stateless_normal([4096, 4096], (0, 0))
    peak = 2 * 4096**3 / median_seconds(tf.function(lambda: square @ square), 5)
    work = 2 * math.prod(side // 16 for side in SIZE) * 9 * 512 * 512
    times = ", ".join(f"{search / value:.0f} in {dtype}" for dtype, value in seconds.items())
    return (
        f"Times that the RPN's proposals are cheaper than selective search: {times}.\n"
        f"Its 3 × 3 convolution is {work / 1e9:.1f} GFLOP, {1000 * work / peak:.0f} ms at the "
        f"{peak / 1e9:.0f} GFLOP/s of a large matrix product in float32."
    )


def rpn_seconds(dtype="float32"):
    model = kf.FasterRCNN(CLASSES, backbone="vgg16", image_size=SIZE, dtype=dtype)
    features = model.features(some_image(), SHAPES, False)
    return median_seconds(tf.function(lambda: model.rpn(features, SHAPES)["proposals"]), 15)


def print_table(phase, rows, last):
    heading, show = last
    print("\n" + ROW.format(phase, *PARTS, "sum", "×", heading))
    first = network_seconds(rows["R-CNN"][phase])
    for name, row in rows.items():
        seconds = [row[phase][part] for part in PARTS]
        times = first / network_seconds(row[phase])
        print(
            ROW.format(name, *(f"{part:.3f}" for part in (*seconds, sum(seconds))), f"{times:.1f}", show(row))
        )


def network_seconds(parts):
    return parts["convolutions"] + parts["regions"]


def rcnn(proposals):
    """Time R-CNN with SVMs, which need the features of every region on disk."""
    model = kf.RCNN(CLASSES, backbone="vgg16", image_size=SIZE, frozen_stages=2, classifier="svm")
    pixels = model.maps_to_pool(some_image(), SHAPES, False)
    sample = proposals[:, :SAMPLE]
    regions = tf.function(lambda: model.head(model.pool(pixels, sample)))
    seconds = median_seconds(regions, 3) * REGIONS / SAMPLE
    step = median_seconds(training_step(model, proposals), 3)
    one_region = conv_macs(model.backbone, 224, 224) + fc_macs(49 * 512)
    return {
        "test": {"convolutions": 0.0, "regions": seconds},
        "training": {"convolutions": 0.0, "regions": step + seconds},
        "macs": REGIONS * one_region,
        "disk": cache_bytes(model, sample) * REGIONS / SAMPLE,
    }


def on_one_map(kind, proposals, region_macs, ranks=None):
    """Time SPPnet or Fast R-CNN."""
    staged = kind is kf.SPPNet
    own = {"classifier": "svm"} if staged else {"frozen_stages": 2}
    model = kind(
        CLASSES, backbone="vgg16", image_size=SIZE, head_units=FC, head_dropout=0.5, head_ranks=ranks, **own
    )
    test = {"convolutions": convolutions(model), "regions": regions_test(model, proposals)}
    training = training_split(model, proposals)
    if staged:
        training = {part: training[part] + test[part] for part in training}
    return {
        "test": test,
        "training": training,
        "macs": conv_macs(model.backbone, *SIZE) + REGIONS * region_macs,
        "disk": cache_bytes(model, proposals) if staged else 0.0,
    }


def faster():
    model = kf.FasterRCNN(CLASSES, backbone="vgg16", image_size=SIZE, frozen_stages=2)
    features = model.features(some_image(), SHAPES, False)
    cells = math.prod(features[0].shape[1:3])
    return {
        "test": {
            "proposals": rpn_seconds(),
            "convolutions": convolutions(model),
            "regions": regions_test(model, some_boxes(RPN_REGIONS)),
        },
        "training": {"proposals": 0.0, **training_split(model, None)},
        "macs": conv_macs(model.backbone, *SIZE)
        + cells * (9 * 512 * 512 + 512 * 54)
        + RPN_REGIONS * fc_macs(49 * 512),
        "disk": 0.0,
    }


def convolutions(model):
    image = some_image()
    return median_seconds(tf.function(lambda: model.features(image, SHAPES, False)), 5)


def regions_test(model, proposals):
    features = model.features(some_image(), SHAPES, False)
    return median_seconds(tf.function(lambda: model.head(model.pool(features, proposals))), 5)


def training_split(model, proposals):
    """Seconds of a training step: its regions, forward and backward, and the rest."""
    step = median_seconds(training_step(model, proposals), 5)
    features = model.features(some_image(), SHAPES, False)
    rois = some_boxes(REGIONS) if proposals is None else proposals
    frozen = isinstance(model, kf.SPPNet)

    @tf.function
    def regions():
        with tf.GradientTape() as tape:
            tape.watch(features)
            losses = model.regions.losses(
                features,
                rois,
                tf.ones(rois.shape[:2], tf.bool),
                some_objects(),
                model.sampling_seed(True),
                True,
            )
            loss = tf.add_n(list(losses.values()))
        return tape.gradient(loss, [*model.head.trainable_variables, *([] if frozen else features)])

    seconds = median_seconds(regions, 5)
    return {"convolutions": step - seconds, "regions": seconds}


def training_step(model, proposals):
    """Return a function that makes one training step on one image."""
    model.compile(keras.optimizers.SGD(1e-6))
    x = {"images": some_image(), "image_shapes": SHAPES}
    if proposals is not None:
        x["proposals"] = proposals
    return tf.function(lambda: model.train_step((x, some_objects())))


def cache_bytes(model, proposals):
    """Bytes of the features that the model caches for the given regions of an image."""
    shapes, boxes = kf.data.load("shapes@val"), [proposals[0].numpy()]
    none = {"boxes": np.zeros([0, 4], np.float32), "labels": np.zeros(0, int), "ignore": np.zeros(0, bool)}
    record = dataclasses.replace(shapes.records[0], **none)
    one = kf.data.DetectionDataset("one", CLASSES, [record], shapes.source, proposals=boxes)
    with tempfile.TemporaryDirectory() as folder:
        return sum(Path(file).stat().st_size for file in model.cache_features(one, folder))


def selective_search_seconds(folder):
    """Seconds per image of selective search over all cores, and the mean height and width."""
    if folder:
        files = sorted(path for path in folder.iterdir() if path.suffix.lower() in (".jpg", ".jpeg", ".png"))
        pictures = [image_ops.read(path) for path in files[: 8 * os.cpu_count()]]
    else:
        dataset = kf.data.load("shapes@val")
        pictures = [dataset.image(index) for index in range(8 * os.cpu_count())]
    height, width = np.mean([picture.shape[:2] for picture in pictures], axis=0)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        started = time.perf_counter()
        list(pool.map(selective_search, pictures))
        return (time.perf_counter() - started) / len(pictures), f"{height:.0f} × {width:.0f}"


def some_image():
    return tf.random.stateless_uniform([1, *SIZE, 3], (0, 0), 0, 255)


def some_objects():
    return {
        "boxes": some_boxes(5, seed=1),
        "labels": tf.zeros([1, 5], tf.int32),
        "ignore": tf.zeros([1, 5], tf.bool),
    }


def some_boxes(count, seed=0):
    """Random boxes `[1, count, 4]` of the sizes that proposals have."""
    random = np.random.default_rng(seed)
    size = np.exp(random.uniform(np.log(32), np.log(500), [count, 2]))
    corner = random.uniform(0, 1, [count, 2]) * np.maximum(np.array(SIZE[::-1]) - size, 0)
    boxes = np.concatenate([corner, np.minimum(corner + size, SIZE[::-1])], axis=1)
    return tf.constant(boxes[None], tf.float32)


def conv_macs(network, height, width):
    """Multiply-adds of the convolutions of a chain of layers."""
    shape, total = (1, height, width, 3), 0
    for layer in network.layers[1:]:
        shape = layer.compute_output_shape(shape)
        if isinstance(layer, keras.layers.Conv2D):
            total += math.prod(layer.kernel.shape) * math.prod(shape[1:3])
    return total


def fc_macs(inputs, ranks=(None, None)):
    """Multiply-adds of fc6, fc7 and the predictors for one region."""
    total = 0
    for width, rank in zip(FC, ranks):
        total += rank * (inputs + width) if rank else inputs * width
        inputs = width
    return total + inputs * (5 * len(CLASSES) + 1)


def median_seconds(function, runs):
    """Median seconds of a call, after one warm-up call."""
    function()
    seconds = []
    for _ in range(runs):
        started = time.perf_counter()
        result = tf.nest.flatten(function())
        np.asarray(result[0])
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds)


if __name__ == "__main__":
    main()
