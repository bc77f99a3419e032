"""What each method of the papers costs, and what it finds.

    python benchmarks/family.py [--images FOLDER]
    python benchmarks/family.py --accuracy | --ablations [--data FOLDER] [--weights FOLDER]

Without a flag: seconds an image of R-CNN, SPPnet, Fast R-CNN, Fast R-CNN with truncated SVD and Faster
R-CNN, all on VGG16 at 600 px; its weights are random, which costs the same. R-CNN is timed on a sample of
its regions and scaled up. The rest is in `family_accuracy.py`.
"""

import argparse
import json
import math
import os
import statistics
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import family_accuracy
import keras
import numpy as np
import tensorflow as tf

import keras_frcnn as kf
from keras_frcnn import images as image_ops
from keras_frcnn.data.selective_search import selective_search

SIZE = (600, 800)
REGIONS = 2000
RPN_REGIONS = 300
SAMPLE = 128
CLASSES = [f"class {index}" for index in range(20)]
FC = (4096, 4096)
RANKS = (1024, 256)
SPP_BINS = 50
ROW = "{:22}{:>11}{:>11}{:>10}{:>10}{:>8}{:>10}{:>10}{:>12}"


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
    parser.add_argument("--data", type=Path, default=Path("data"), help="folder of the set bccd")
    parser.add_argument("--weights", type=Path, default=Path("weights"), help="folder of the weights files")
    parser.add_argument("--json", type=Path, help="file that gets the figures")
    options = parser.parse_args()
    if options.accuracy or options.ablations:
        figures = (family_accuracy.methods if options.accuracy else family_accuracy.ablations)(options)
    else:
        figures = costs(options)
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


def costs(options):
    """Time every method and print the table."""
    image = tf.random.stateless_uniform([1, *SIZE, 3], (0, 0), 0, 255)
    proposals = some_boxes(REGIONS)
    search = selective_search_seconds(options.images)
    rows = {
        "R-CNN": rcnn(image, proposals),
        "SPPnet": external(kf.SPPNet, image, proposals, fc_macs(SPP_BINS * 512)),
        "Fast R-CNN": external(kf.FastRCNN, image, proposals, fc_macs(49 * 512)),
        "Fast R-CNN + SVD": external(kf.FastRCNN, image, proposals, fc_macs(49 * 512, RANKS), RANKS),
    }
    for row in rows.values():
        row["proposals"] = search
    rows["Faster R-CNN"] = faster(image)
    print_table(rows, search)
    return rows


def print_table(rows, search):
    first = rows["R-CNN"]
    print(f"\nVGG16, {SIZE[0]} × {SIZE[1]}, {os.cpu_count()} cores; seconds an image.")
    print(f"{REGIONS} proposals an image, of Faster R-CNN {RPN_REGIONS}; test: convolutions and regions.")
    print(f"R-CNN: {SAMPLE} regions in batches of 64, scaled up to {REGIONS}.\n")
    print(ROW.format("", "proposals", "conv.", "regions", "test", "×", "Gmult-add", "training", "MB on disk"))
    for name, row in rows.items():
        row["test"] = row["convolutions"] + row["regions"]
        print(
            ROW.format(
                name,
                f"{row['proposals']:.3f}",
                f"{row['convolutions']:.3f}",
                f"{row['regions']:.3f}",
                f"{row['test']:.3f}",
                f"{(first['convolutions'] + first['regions']) / row['test']:.0f}",
                f"{row['macs'] / 1e9:.0f}",
                f"{row['training']:.2f}",
                f"{row['disk'] / 1e6:.1f}",
            )
        )
    ratio = search / rows["Faster R-CNN"]["proposals"]
    print(f"\nThe RPN's proposals are {ratio:.0f} times cheaper than selective search (fast).")
    print("Training: one step an image; of R-CNN and SPPnet also the pass that caches features.")


def rcnn(image, proposals):
    model = kf.RCNN(CLASSES, backbone="vgg16", image_size=SIZE, classifier="svm", head_dropout=0.5)
    sample = proposals[:, :SAMPLE]
    features = model.features(image, tf.constant([SIZE]), False)
    regions = tf.function(lambda boxes: model.head(model.pool(features, boxes)))
    seconds = median_seconds(lambda: regions(sample), 3) * REGIONS / SAMPLE
    one_region = conv_macs(model.backbone, 224, 224) + fc_macs(49 * 512)
    return {
        "convolutions": 0.0,
        "regions": seconds,
        "macs": REGIONS * one_region,
        # Fine-tuning takes 64 regions an image a step; caching all of them once.
        "training": step_seconds(model, proposals) + seconds,
        "disk": cache_bytes(model, sample) * REGIONS / SAMPLE,
    }


def external(kind, image, proposals, region_macs, ranks=None):
    model = kind(
        CLASSES, backbone="vgg16", image_size=SIZE, head_units=FC, head_dropout=0.5, head_ranks=ranks
    )
    shapes = tf.constant([SIZE])
    features = model.features(image, shapes, False)
    regions = tf.function(lambda boxes: model.head(model.pool(features, boxes)))
    staged = kind is not kf.FastRCNN
    seconds = median_seconds(lambda: regions(proposals), 5)
    convolutions = median_seconds(tf.function(lambda: model.features(image, shapes, False)), 5)
    return {
        "convolutions": convolutions,
        "regions": seconds,
        "macs": conv_macs(model.backbone, *SIZE) + REGIONS * region_macs,
        "training": step_seconds(model, proposals) + (convolutions + seconds if staged else 0.0),
        "disk": REGIONS * 4 * FC[-1] if staged else 0,
    }


def faster(image):
    model = kf.FasterRCNN(CLASSES, backbone="vgg16", image_size=SIZE)
    shapes = tf.constant([SIZE])
    features = model.features(image, shapes, False)
    boxes = some_boxes(RPN_REGIONS)
    regions = tf.function(lambda: model.head(model.pool(features, boxes)))
    rpn = median_seconds(tf.function(lambda: model.rpn(features, shapes)["proposals"]), 7)
    cells = math.prod(features[0].shape[1:3])
    return {
        "proposals": rpn,
        "convolutions": median_seconds(tf.function(lambda: model.features(image, shapes, False)), 5),
        "regions": median_seconds(regions, 5),
        "macs": conv_macs(model.backbone, *SIZE)
        + cells * (9 * 512 * 512 + 512 * 54)
        + RPN_REGIONS * fc_macs(49 * 512),
        "training": step_seconds(model, None),
        "disk": 0,
    }


def step_seconds(model, proposals):
    """Seconds of one training step on one image."""
    model.compile(keras.optimizers.SGD(1e-6))
    x = {
        "images": tf.random.stateless_uniform([1, *SIZE, 3], (1, 1), 0, 255),
        "image_shapes": tf.constant([SIZE]),
    }
    if proposals is not None:
        x["proposals"] = proposals
    boxes = some_boxes(5, seed=1)
    y = {"boxes": boxes, "labels": tf.zeros([1, 5], tf.int32), "ignore": tf.zeros([1, 5], tf.bool)}
    step = tf.function(lambda: model.train_step((x, y)))
    return median_seconds(step, 3)


def cache_bytes(model, proposals):
    """Bytes of the file that R-CNN keeps of an image."""
    image = np.zeros([*SIZE, 3], np.uint8)
    with tempfile.TemporaryDirectory() as folder:
        features, _ = model.region_features(
            tf.constant(image[None], tf.float32), tf.constant(SIZE), proposals
        )
        np.savez(Path(folder) / "features.npz", features=features)
        return (Path(folder) / "features.npz").stat().st_size


def selective_search_seconds(folder):
    """Seconds an image of selective search over all cores, on images as they are."""
    if folder:
        files = sorted(path for path in folder.iterdir() if path.suffix.lower() in (".jpg", ".jpeg", ".png"))
        pictures = [image_ops.read(path) for path in files[: 4 * os.cpu_count()]]
    else:
        dataset = kf.data.load("shapes@val")
        pictures = [dataset.image(index) for index in range(4 * os.cpu_count())]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        started = time.perf_counter()
        list(pool.map(selective_search, pictures))
        return (time.perf_counter() - started) / len(pictures)


def some_boxes(count, seed=0):
    """Boxes `[1, count, 4]` of the sizes that proposals have."""
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
    """Median of the seconds that a call takes, after one that is not counted."""
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
