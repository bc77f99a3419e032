"""How many pictures a second `check-data` checks.

    python benchmarks/checking.py [--count 10000] [--height 375] [--width 500]

It writes JPEG files of noise over shapes scenes, about 100 KB each as photographs of this size have, with VOC
annotations into a temporary folder, and times `check-data` on them as a process of its own, with its start.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np

from keras_frcnn.data.readers import shapes

# So many pictures are drawn; the others differ from these in a comment only.
DRAWN = 200


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=10_000, help="pictures")
    parser.add_argument("--height", type=int, default=375)
    parser.add_argument("--width", type=int, default=500)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        size = write(Path(temporary), options.count, options.height, options.width)
        command = [sys.executable, "-m", "keras_frcnn", "check-data", f"voc:{temporary}@train"]
        started = time.monotonic()
        subprocess.run(command, check=True)
        seconds = time.monotonic() - started
    rate = options.count / seconds
    print(f"{options.count} pictures of {size / 1000:.0f} KB: {seconds:.1f} s, {rate:.0f} a second")


def write(root, count, height, width):
    """Write the set; return the mean size of a picture in bytes."""
    for folder in ("JPEGImages", "Annotations", "ImageSets/Main"):
        (root / folder).mkdir(parents=True)
    scenes = shapes.load("train", min(count, DRAWN))
    noise, total = np.random.default_rng(0), 0
    encoded = []
    for index in range(len(scenes)):
        image = cv2.resize(scenes.image(index), (width, height)).astype(np.int16)
        image = np.clip(image + noise.integers(-16, 17, image.shape), 0, 255).astype(np.uint8)
        encoded.append(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 88])[1].tobytes())
    size = f"<size><width>{width}</width><height>{height}</height></size>"
    for index in range(count):
        contents, record = encoded[index % len(encoded)], scenes.records[index % len(encoded)]
        comment = b"\xff\xfe" + (10).to_bytes(2, "big") + b"%08d" % index
        (root / f"JPEGImages/{index:06}.jpg").write_bytes(contents[:2] + comment + contents[2:])
        total += len(contents)
        objects = "".join(
            f"<object><name>{scenes.class_names[label]}</name>"
            f"<bndbox><xmin>{x1 + 1}</xmin><ymin>{y1 + 1}</ymin>"
            f"<xmax>{x2}</xmax><ymax>{y2}</ymax></bndbox></object>"
            for (x1, y1, x2, y2), label in zip(record.boxes, record.labels)
        )
        (root / f"Annotations/{index:06}.xml").write_text(f"<annotation>{size}{objects}</annotation>")
    (root / "ImageSets/Main/train.txt").write_text("".join(f"{index:06}\n" for index in range(count)))
    return total / count


if __name__ == "__main__":
    main()
