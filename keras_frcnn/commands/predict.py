"""`python -m keras_frcnn predict`: draw and list what a detector finds in image files."""

import collections
import dataclasses
import json
import sys
from pathlib import Path

import tyro

from keras_frcnn import drawing, images
from keras_frcnn.commands.detectors import load_detector
from keras_frcnn.commands.failures import in_one_sentence

SUFFIXES = (".jpg", ".jpeg", ".png", ".gif", ".bmp")


@dataclasses.dataclass(frozen=True)
class Prediction:
    """Find objects in image files: pictures with the detections drawn in, and a line for each image."""

    images: tyro.conf.Positional[tuple[Path, ...]]
    """Image files, or folders of them."""
    model: Path
    """A .keras file, or the folder of a SavedModel."""
    output: Path = Path("predictions")
    """Folder that gets the pictures."""
    score_threshold: float = 0.5
    """Detections below are neither drawn nor counted, 0 to 1."""
    json: Path | None = None
    """File that gets all detections, those below the threshold too."""


@in_one_sentence
def main(arguments=None):
    """Run the command.

    An image that cannot be read is named and skipped; the process then ends with status 1.

    Args:
        arguments: list of words; by default those of the process.

    Returns:
        The dict that `--json` writes: "class_names"; "images", a list of dicts "image", "height", "width",
        "drawn" (the picture) and "detections" (dicts "box" xyxy in pixels, "score", "label", "class"); and
        "skipped", a list of dicts "image" and "reason".
    """
    run = tyro.cli(Prediction, args=sys.argv[1:] if arguments is None else list(arguments))
    if not 0 <= run.score_threshold <= 1:
        raise ValueError(f"--score-threshold is between 0 and 1, not {run.score_threshold}.")
    files = _files(run.images)
    targets = _targets(files, run.output)
    detector = load_detector(run.model)
    for folder in [run.output, *([run.json.parent] if run.json else [])]:
        folder.mkdir(parents=True, exist_ok=True)

    answers, skipped = [], []
    for file, target in zip(files, targets):
        try:
            image = images.read(file)
        except (ValueError, OSError) as error:
            print(error, file=sys.stderr)
            skipped.append({"image": str(file), "reason": str(error)})
            continue
        found = detector.detect(image)
        drawing.write(target, drawing.draw(image, found, detector.class_names, run.score_threshold))
        print(f"{file}: {_count(found, detector.class_names, run.score_threshold)}", flush=True)
        answers.append(_answer(file, target, image, found, detector.class_names))

    results = {"class_names": list(detector.class_names), "images": answers, "skipped": skipped}
    if run.json:
        run.json.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    print(f"{len(answers)} of {len(files)} images, drawn into {run.output}")
    if skipped:
        raise ValueError(f"{len(skipped)} of {len(files)} images were skipped, for the reasons above.")
    return results


def _files(paths):
    """The files named, and those of the folders named that end as images do."""
    files = []
    for path in paths:
        if not path.is_dir():
            files.append(path)
            continue
        found = [
            file for file in sorted(path.iterdir()) if file.suffix.lower() in SUFFIXES and file.is_file()
        ]
        if not found:
            raise ValueError(f"Folder {path} holds no image ({', '.join(SUFFIXES)}); name the one that does.")
        files += found
    if not files:
        raise ValueError("No image is named; give image files or folders of them.")
    return files


def _targets(files, output):
    """A file for every image: JPEG for JPEG, PNG for all else; equal names are numbered."""
    targets, sources = [], {file.resolve() for file in files}
    for file in files:
        suffix = file.suffix if file.suffix.lower() in (".jpg", ".jpeg") else ".png"
        target, number = output / f"{file.stem}{suffix}", 1
        while target in targets:
            number += 1
            target = output / f"{file.stem}-{number}{suffix}"
        if target.resolve() in sources:
            raise ValueError(
                f"The picture of {file} would replace the image {target}; name another folder with --output."
            )
        targets.append(target)
    return targets


def _count(found, class_names, score_threshold):
    labels = [
        int(label) for label, score in zip(found["labels"], found["scores"]) if score >= score_threshold
    ]
    counts = collections.Counter(labels)
    return ", ".join(f"{counts[label]} {class_names[label]}" for label in sorted(counts)) or "nothing"


def _answer(file, target, image, found, class_names):
    return {
        "image": str(file),
        "height": image.shape[0],
        "width": image.shape[1],
        "drawn": str(target),
        "detections": [
            {
                "box": [float(side) for side in box],
                "score": float(score),
                "label": int(label),
                "class": class_names[label],
            }
            for box, score, label in zip(found["boxes"], found["scores"], found["labels"])
        ],
    }
