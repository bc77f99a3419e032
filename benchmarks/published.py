"""Score the published detectors on COCO val2017, beside the AP that torchvision publishes.

    python benchmarks/published.py --data coco:annotations/instances_val2017.json@val2017 [--presets NAME ...]
        [--weights-url URL] [--json FILE]

The weights are fetched on first use, from their publisher or from `--weights-url`, an address or a folder.
Annotations and 5,000 images are those of cocodataset.org. Each detector keeps torchvision's sizes and
thresholds. The published AP is rounded to one digit behind the point.
"""

import argparse
import time
from pathlib import Path

import keras_frcnn as kf
from keras_frcnn.callbacks.progress import ImageLines
from keras_frcnn.evaluation import evaluate
from keras_frcnn.files import write_json


def main(arguments=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    names = [preset.name for preset in kf.presets()]
    parser.add_argument("--data", required=True, help="the set, coco:INSTANCES.json@IMAGES")
    parser.add_argument("--presets", nargs="+", choices=names, default=names, help="by default all")
    parser.add_argument("--weights-url", help="address, or folder, that has the published files")
    parser.add_argument("--json", type=Path, help="file that gets the figures")
    options = parser.parse_args(arguments)
    dataset = kf.data.load(options.data)
    rows = [
        score(preset, dataset, options.weights_url)
        for preset in kf.presets()
        if preset.name in options.presets
    ]
    print(f"\nbox AP on {len(dataset)} images, percent")
    for row in rows:
        print(
            f"{row['name']:44}{row['ap']:6.1f}  published {row['published']:.1f}"
            f"  difference {row['ap'] - row['published']:+.1f}  {row['seconds_per_image']:.2f} s an image"
        )
    if options.json:
        write_json(options.json, {"data": options.data, "images": len(dataset), "detectors": rows})


def score(preset, dataset, weights_url):
    """The scores of one detector: a dict."""
    detector = kf.FasterRCNN.from_preset(preset.name, weights_url=weights_url)
    started = time.monotonic()
    results = evaluate(detector, dataset, ImageLines(preset.name))
    return {
        "name": preset.name,
        "file": preset.file,
        "ap": 100 * results["coco_ap"],
        "ap50": 100 * results["coco_ap50"],
        "published": preset.box_ap,
        "seconds_per_image": (time.monotonic() - started) / len(dataset),
    }


if __name__ == "__main__":
    main()
