"""Damage annotation files and pictures at random, and count what reading them leads to.

    python benchmarks/mutations.py [--count 500] [--seed 0] [--kinds voc coco ...]

For each kind a small data set is written, one of its files is changed, and the set is loaded and its pictures
are decoded. "refused" is one sentence of this package; "raw" is any other exception, of which the first of
each type is printed; "slow" took more than five seconds. A set that still loads must have finite boxes
inside its pictures.
"""

import argparse
import collections
import json
import random
import tempfile
import time
import traceback
import warnings
from pathlib import Path

import cv2
import numpy as np
from measures.damage import changed

import keras_frcnn as kf

SLOW = 5.0


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=500, help="changed files of each kind")
    parser.add_argument("--seed", type=int, default=0, help="seed of the changes")
    parser.add_argument("--kinds", nargs="*", choices=KINDS, default=list(KINDS))
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    print(f"{'kind':12}{'loaded':>8}{'refused':>9}{'raw':>6}{'wrong':>7}{'slow':>6}")
    for kind in options.kinds:
        counts, shown = collections.Counter(), []
        chance = random.Random(f"{options.seed} {kind}")
        for _ in range(options.count):
            with tempfile.TemporaryDirectory() as temporary:
                outcome, detail = once(Path(temporary), *KINDS[kind], chance)
            counts[outcome] += 1
            if outcome in ("raw", "wrong", "slow") and detail.partition("(")[0] not in shown:
                shown.append(detail.partition("(")[0])
                print(f"  {kind}: {detail}")
        columns = zip(("loaded", "refused", "raw", "wrong", "slow"), (8, 9, 6, 7, 6))
        print(f"{kind:12}" + "".join(f"{counts[name]:{width}}" for name, width in columns), flush=True)


def once(root, write, spec, names, chance):
    """Write a set, change one of its files, load it; return the outcome and a text about it."""
    write(root)
    file = root / chance.choice(names)
    before = file.read_bytes()
    contents = changed(before, chance)
    file.write_bytes(contents)
    started = time.monotonic()
    try:
        dataset = kf.data.load(spec.format(root=root))
        for index, record in enumerate(dataset.records):
            shape = dataset.image(index).shape
            inside = (record.boxes >= 0).all() and (record.boxes[:, 2:] <= [shape[1], shape[0]]).all()
            if (
                shape[:2] != (record.height, record.width)
                or not np.isfinite(record.boxes).all()
                or not inside
            ):
                return "wrong", f"{record} ({contents[:200]!r})"
    except (ValueError, FileNotFoundError) as error:
        if "keras_frcnn" not in traceback.extract_tb(error.__traceback__)[-1].filename or "\n" in str(error):
            return "raw", f"{type(error).__name__} ({error}; {contents[:200]!r})"
        outcome = "refused"
    except Exception as error:  # what this program looks for
        return "raw", f"{type(error).__name__} ({error}; {contents[:200]!r})"
    else:
        outcome = "loaded"
    seconds = time.monotonic() - started
    return (outcome, "") if seconds < SLOW else ("slow", f"{seconds:.1f} s ({contents[:200]!r})")


def pictures(folder, names=("a", "b")):
    folder.mkdir(parents=True)
    for name in names:
        cv2.imwrite(str(folder / f"{name}.jpg"), np.full([40, 60, 3], 90, np.uint8))


def write_voc(root):
    pictures(root / "JPEGImages")
    box = "<bndbox><xmin>5</xmin><ymin>6</ymin><xmax>30</xmax><ymax>31</ymax></bndbox>"
    item = f"<object><name>cat</name><difficult>0</difficult>{box}</object>"
    size = "<size><width>60</width><height>40</height><depth>3</depth></size>"
    (root / "Annotations").mkdir()
    for name in "ab":
        text = (
            f'<?xml version="1.0" encoding="utf-8"?><annotation><filename>{name}.jpg</filename>{size}{item}'
        )
        (root / f"Annotations/{name}.xml").write_text(f"{text}</annotation>")
    (root / "ImageSets/Main").mkdir(parents=True)
    (root / "ImageSets/Main/train.txt").write_text("a\nb\n")
    (root / "labels.txt").write_text("cat\ndog\n")


def write_coco(root):
    pictures(root / "images")
    content = {
        "images": [
            {"id": index, "file_name": f"{name}.jpg", "width": 60, "height": 40}
            for index, name in enumerate("ab")
        ],
        "categories": [{"id": 1, "name": "cat"}, {"id": 3, "name": "dog"}],
        "annotations": [
            {"id": 7, "image_id": 0, "category_id": 1, "bbox": [5, 6, 20, 25], "area": 500, "iscrowd": 0},
            {"id": 8, "image_id": 1, "category_id": 3, "bbox": [1, 2, 30.5, 25], "area": 762.5, "iscrowd": 1},
        ],
    }
    (root / "instances.json").write_text(json.dumps(content))


def write_yolo(root):
    pictures(root / "images/train")
    (root / "labels/train").mkdir(parents=True)
    for name in "ab":
        (root / f"labels/train/{name}.txt").write_text("0 0.3 0.4 0.2 0.2\n1 0.1 0.1 0.5 0.2 0.4 0.6\n")
    (root / "data.yaml").write_text("path: .\ntrain: images/train\nnames:\n  0: cat\n  1: dog\n")


def write_csv(root):
    pictures(root / "images")
    (root / "train.csv").write_text("a.jpg,5,6,30,31,cat\na.jpg,1,2,9,9,dog\nb.jpg,,,,,\n")
    (root / "classes.csv").write_text("cat,0\ndog,1\n")


def write_labelme(root):
    pictures(root / "images")
    for name in "ab":
        shapes = [{"label": "cat", "points": [[5, 6], [30, 31]], "shape_type": "rectangle"}]
        content = {"imagePath": f"{name}.jpg", "imageHeight": 40, "imageWidth": 60, "shapes": shapes}
        (root / f"images/{name}.json").write_text(json.dumps(content))


# For each kind: the function that writes it, its spec, and the files that are changed.
KINDS = {
    "voc": (
        write_voc,
        "voc:{root}@train",
        ["Annotations/a.xml", "Annotations/a.xml", "ImageSets/Main/train.txt", "labels.txt"],
    ),
    "coco": (write_coco, "coco:{root}/instances.json@{root}/images", ["instances.json"]),
    "yolo": (write_yolo, "yolo:{root}/data.yaml@train", ["data.yaml", "labels/train/a.txt"]),
    "csv": (write_csv, "csv:{root}/train.csv@{root}/images", ["train.csv", "train.csv", "classes.csv"]),
    "labelme": (write_labelme, "labelme:{root}/images", ["images/a.json"]),
    "picture": (write_voc, "voc:{root}@train", ["JPEGImages/a.jpg"]),
}


if __name__ == "__main__":
    main()
