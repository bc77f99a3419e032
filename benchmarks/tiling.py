"""What tiles gain in large images with small objects.

    python benchmarks/tiling.py --model cells.keras --data voc:DATA@test [--columns N] [--rows N] [--tiles N]

It composes large images of those of a set, side by side, and scores the detector on them as they are and in
tiles. The whole image is resized to the detector's size, so each object has a fraction of its pixels.
"""

import argparse
import time

import numpy as np

import keras_frcnn as kf
from keras_frcnn.callbacks.progress import ImageLines
from keras_frcnn.commands.detectors import load_detector
from keras_frcnn.evaluation import TiledDetection, evaluate

SCORES = ("voc_ap50", "coco_ap", "coco_ar100")


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", required=True)
    parser.add_argument("--data", required=True)
    parser.add_argument("--columns", type=int, default=6)
    parser.add_argument("--rows", type=int, default=6)
    parser.add_argument("--tiles", type=int, default=640, help="side of a tile, pixels")
    options = parser.parse_args()
    dataset = composed(kf.data.load(options.data), options.columns, options.rows)
    detector = load_detector(options.model)
    shapes = {(record.width, record.height) for record in dataset.records}
    print(
        f"{len(dataset)} images of {shapes}, {sum(len(record.labels) for record in dataset.records)} objects"
    )
    for name, one in (("whole", detector), ("tiles", TiledDetection(detector, options.tiles))):
        started = time.monotonic()
        results = evaluate(one, dataset, ImageLines(name))
        seconds = (time.monotonic() - started) / len(dataset)
        figures = "  ".join(f"{score} {results[score]:.3f}" for score in SCORES)
        print(f"{name}: {figures}  {seconds:.1f} s an image", flush=True)


def composed(dataset, columns, rows):
    """A set of large images, each a grid of images of another; cells have the size of the largest image."""
    height = max(record.height for record in dataset.records)
    width = max(record.width for record in dataset.records)
    images, boxes, labels, ignore = [], [], [], []
    for start in range(0, len(dataset), columns * rows):
        canvas = np.full([rows * height, columns * width, 3], 128, np.uint8)
        here = range(start, min(start + columns * rows, len(dataset)))
        shifted = [np.zeros([0, 4])]
        for place, index in enumerate(here):
            y, x = place // columns * height, place % columns * width
            image = dataset.image(index)
            canvas[y : y + image.shape[0], x : x + image.shape[1]] = image
            shifted.append(dataset.records[index].boxes + [x, y, x, y])
        records = [dataset.records[index] for index in here]
        images.append(canvas)
        boxes.append(np.concatenate(shifted))
        labels.append(np.concatenate([record.labels for record in records]))
        ignore.append(np.concatenate([record.ignore for record in records]))
    return kf.data.from_arrays(images, boxes, labels, dataset.class_names, ignore=ignore)


if __name__ == "__main__":
    main()
