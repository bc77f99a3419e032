"""Train on real images and print the scores.

    python benchmarks/accuracy.py NAME --data FOLDER --weights FOLDER

Each benchmark runs `train.py` as a user would, in a process of its own, and scores `last.keras`, the model
after the last epoch: nothing is chosen on the set it is measured on. The minutes are those of the process
from start to end. Three seeds of raccoon; resnet50 overfits eight images.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
MOBILENET = "mobilenet_v2_1.0_coco_ssd_notop.weights.h5"
VGG = "vgg16_hed_bsds500_notop.weights.h5"


def bccd(data, weights):
    return ["--train", f"voc:{data}/bccd@trainval", "--val", f"voc:{data}/bccd@test", *_mobilenet(weights)]


def raccoon_set(data):
    return ["--train", f"voc:{data}/raccoon@train", "--val", f"voc:{data}/raccoon@test"]


def _mobilenet(weights):
    return ["--backbone", "mobilenet_v2_fpn", "--backbone-weights", f"{weights}/{MOBILENET}"]


def eight_images(data, folder):
    """A VOC folder whose one split is the first eight raccoons."""
    source = Path(data).resolve() / "raccoon"
    for name in ("JPEGImages", "Annotations"):
        (folder / name).symlink_to(source / name)
    (folder / "ImageSets" / "Main").mkdir(parents=True)
    names = (source / "ImageSets/Main/train.txt").read_text().split()[:8]
    (folder / "ImageSets/Main/eight.txt").write_text("\n".join(names))
    return f"voc:{folder}@eight"


def commands(name, data, weights, folder):
    """The words of `train.py` for each run of a benchmark."""
    size = ["--image-size", "480", "640"]
    if name == "shapes":
        return [[]]
    if name == "bccd":
        return [[*bccd(data, weights), *size, "--epochs", "6"]]
    if name == "small_objects":
        return [[*bccd(data, weights), "--recipe", "small_objects"]]
    if name == "raccoon":
        common = [*raccoon_set(data), *_mobilenet(weights), *size, "--epochs", "10"]
        return [[*common, "--seed", str(seed)] for seed in range(3)]
    if name == "vgg16":
        return [
            [
                *raccoon_set(data),
                "--backbone",
                "vgg16",
                "--backbone-weights",
                f"{weights}/{VGG}",
                "--config",
                _yaml(
                    folder,
                    "image_size: [240, 320]\nepochs: 6\nbatch_size: 2\nlearning_rate: 0.002\n"
                    "detector: {head_units: [512, 512]}\n",
                ),
            ]
        ]
    if name == "tiny_fpn":
        return [
            [
                *raccoon_set(data),
                "--backbone",
                "tiny_fpn",
                "--backbone-weights",
                "none",
                "--config",
                _yaml(folder, "image_size: [240, 320]\nepochs: 40\n"),
            ]
        ]
    split = eight_images(data, folder / "eight")
    return [
        [
            "--train",
            split,
            "--val",
            split,
            "--backbone",
            "resnet50",
            "--backbone-weights",
            "none",
            "--config",
            _yaml(
                folder,
                "image_size: [192, 256]\nepochs: 120\nflip: 0.0\nbatch_size: 4\n"
                "detector: {pool_size: 7, head_batch_size: 16, rpn_post_nms: [200, 50]}\n",
            ),
        ]
    ]


def _yaml(folder, text):
    path = folder / "config.yaml"
    path.write_text(text)
    return str(path)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    names = ["shapes", "bccd", "small_objects", "raccoon", "vgg16", "tiny_fpn", "resnet50"]
    parser.add_argument("name", choices=names)
    parser.add_argument("--data", default=ROOT.parent / "shared/data", help="folder of bccd and raccoon")
    parser.add_argument(
        "--weights", default=ROOT.parent / "shared/weights", help="folder of the weights files"
    )
    options = parser.parse_args()
    scores = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        (folder / "eight").mkdir()
        for index, words in enumerate(commands(options.name, options.data, options.weights, folder)):
            output = folder / f"run{index}"
            started = time.monotonic()
            subprocess.run(
                [sys.executable, ROOT / "train.py", *words, "--output", str(output)], check=True, cwd=ROOT
            )
            minutes = (time.monotonic() - started) / 60
            results = json.loads((output / "metrics.json").read_text())
            scores.append(results["voc_ap50"])
            print(
                f"{options.name}: AP50 (area) {results['voc_ap50']:.3f} in {minutes:.1f} minutes", flush=True
            )
    if len(scores) > 1:
        print(f"mean {statistics.mean(scores):.3f}, from {min(scores):.3f} to {max(scores):.3f}")


if __name__ == "__main__":
    main()
