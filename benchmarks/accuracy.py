"""Train on real images and print the scores.

    python benchmarks/accuracy.py NAME [--data FOLDER] [--weights FOLDER]

Each benchmark runs `train.py` as a user would, in a process of its own, and scores `last.keras`, the model
after the last epoch: no model is chosen on the set that measures it. The minutes are those of the process
from start to end. `bccd` and `raccoon` run three seeds; `resnet50` overfits eight images.

`--data` holds the folders `bccd` (github.com/Shenggan/BCCD_Dataset) and `raccoon`
(github.com/datitran/raccoon_dataset), each with `JPEGImages`, `Annotations` and `ImageSets/Main`. `--weights`
holds `mobilenet_v2_1.0_coco_ssd_notop.weights.h5` and `vgg16_hed_bsds500_notop.weights.h5`; docs/results.md
says where both come from.
"""

import argparse
import json
import shlex
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
MOBILENET = "--backbone-weights {weights}/mobilenet_v2_1.0_coco_ssd_notop.weights.h5"
BCCD = "--train voc:{data}/bccd@trainval --val voc:{data}/bccd@test " + MOBILENET
RACCOON = "--train voc:{data}/raccoon@train --val voc:{data}/raccoon@test "
EIGHT = "--train voc:{folder}/eight@copies --val voc:{folder}/eight@eight "
# Copies of the eight images, or each epoch would be scored and saved after two steps.
COPIES = 20

# For each benchmark: the arguments of train.py, the text of its --config file, and the seeds.
BENCHMARKS = {
    "shapes": ("--export {folder}/shapes", "", [0]),
    "bccd": (BCCD + " --image-size 480 640 --epochs 6", "", [0, 1, 2]),
    "small_objects": (BCCD + " --recipe small_objects --epochs 4", "", [0]),
    "raccoon": (RACCOON + MOBILENET + " --image-size 480 640 --epochs 8", "", [0, 1, 2]),
    "vgg16": (
        RACCOON + "--backbone vgg16 --backbone-weights {weights}/vgg16_hed_bsds500_notop.weights.h5",
        "{image_size: [160, 240], epochs: 5, batch_size: 2, learning_rate: 0.0002,"
        " detector: {anchor_sizes: [[48, 96, 144]], head_units: [512, 512]}}",
        [0],
    ),
    "tiny_fpn": (
        RACCOON + "--backbone tiny_fpn --backbone-weights none",
        "{image_size: [240, 320], short_sides: [192, 216, 240], epochs: 16, learning_rate: 0.001}",
        [0],
    ),
    "resnet50": (
        EIGHT + "--backbone resnet50 --backbone-weights none",
        "{image_size: [192, 256], epochs: 6, flip: 0.0, learning_rate: 0.0003, detector:"
        " {anchor_sizes: [[64, 128, 256]], pool_size: 7, head_batch_size: 16, rpn_post_nms: [200, 50]}}",
        [0],
    ),
}


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("name", choices=BENCHMARKS)
    parser.add_argument("--data", type=Path, default=Path("data"), help="folder of the sets bccd and raccoon")
    parser.add_argument("--weights", type=Path, default=Path("weights"), help="folder of the weights files")
    options = parser.parse_args()
    words, config, seeds = BENCHMARKS[options.name]
    scores = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        if "{folder}/eight" in words:
            eight_images(options.data, folder / "eight")
        (folder / "config.yaml").write_text(config)
        words = words.format(data=options.data.resolve(), weights=options.weights.resolve(), folder=folder)
        for seed in seeds:
            scores.append(train([*shlex.split(words), "--seed", str(seed)], folder / f"run{seed}"))
            print(f"{options.name}, seed {seed}: AP50 (area) {scores[-1]:.3f}", flush=True)
    if len(scores) > 1:
        print(f"mean {statistics.mean(scores):.3f}, from {min(scores):.3f} to {max(scores):.3f}")


def train(words, output):
    """Run `train.py`, print its minutes, and return the AP50 (area) of the last model."""
    words += ["--config", str(output.parent / "config.yaml"), "--output", str(output)]
    started = time.monotonic()
    subprocess.run([sys.executable, ROOT / "train.py", *words], check=True, cwd=ROOT)
    print(f"{(time.monotonic() - started) / 60:.1f} minutes")
    return json.loads((output / "metrics.json").read_text())["voc_ap50"]


def eight_images(data, folder):
    """Make a VOC folder of the first eight raccoons, the split `eight`, and copies of them, `copies`."""
    source = data.resolve() / "raccoon"
    names = (source / "ImageSets" / "Main" / "train.txt").read_text().split()[:8]
    copies = [(f"{name}-{number}", name) for number in range(COPIES) for name in names]
    for part, ending in (("JPEGImages", "jpg"), ("Annotations", "xml")):
        (folder / part).mkdir(parents=True)
        for copy, name in [*zip(names, names), *copies]:
            shutil.copyfile(source / part / f"{name}.{ending}", folder / part / f"{copy}.{ending}")
    (folder / "ImageSets" / "Main").mkdir(parents=True)
    (folder / "ImageSets" / "Main" / "eight.txt").write_text("\n".join(names))
    (folder / "ImageSets" / "Main" / "copies.txt").write_text("\n".join(copy for copy, _ in copies))


if __name__ == "__main__":
    main()
