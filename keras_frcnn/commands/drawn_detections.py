"""Output of the commands that find objects in image files: the pictures, the lines, the JSON."""

import collections
import contextlib
import sys

from keras_frcnn import drawing
from keras_frcnn.commands.outputs import check_json
from keras_frcnn.data.readers.pictures import SUFFIXES
from keras_frcnn.files import write_json

# The files of a folder that are left out are named up to this number.
NAMED = 5


class DrawnDetections:
    """Results for a list of image files: a picture and a line for each, and all of them as JSON.

    Args:
        paths: image files, or folders of them.
        output: folder for the pictures.
        score_threshold: detections below it are neither drawn nor counted, 0 to 1.
        json: file for all detections, or None.
        endings: endings of the images of a folder.

    Attributes:
        files: list of `Path`, the images.

    Raises:
        ValueError: there is no image, a picture would replace one, or `json` is a folder.
    """

    def __init__(self, paths, output, score_threshold, json=None, endings=SUFFIXES):
        if not 0 <= score_threshold <= 1:
            raise ValueError(f"--score-threshold is between 0 and 1, not {score_threshold}.")
        check_json(json)
        self.files = list(dict.fromkeys(_files(paths, endings)))
        self._targets = dict(zip(self.files, _targets(self.files, output)))
        self._output, self._score_threshold, self._json = output, score_threshold, json
        self._answers, self._skipped = [], []

    def begin(self, class_names):
        """Create the folder of the pictures, before any `add` or `skip`; `class_names` may still grow."""
        self._class_names = class_names
        self._output.mkdir(parents=True, exist_ok=True)

    def add(self, file, image, found):
        """Draw and count the detections of an image.

        Args:
            file: one of `files`.
            image: uint8 `[H, W, 3]`.
            found: dict as from `detect`.
        """
        target, names, threshold = self._targets[file], self._class_names, self._score_threshold
        drawing.write(target, drawing.draw(image, found, names, threshold))
        print(f"{file}: {_count(found, names, threshold)}", flush=True)
        self._answers.append(_answer(file, target, image, found, names))

    def skip(self, file, reason):
        """Report an image that could not be read, and why."""
        print(reason, file=sys.stderr)
        self._skipped.append({"image": str(file), "reason": str(reason)})

    @contextlib.contextmanager
    def kept(self):
        """If an exception ends the block, write the JSON of the finished images."""
        try:
            yield
        except BaseException:
            done = len(self._answers) + len(self._skipped)
            if done:
                self._write()
                print(f"{self._share(done)} finished and kept.", file=sys.stderr)
            raise

    def finish(self):
        """Write the JSON and print a summary.

        Returns:
            dict of "class_names"; "images", a list of dicts "image", "height", "width", "drawn" (the picture)
            and "detections" (dicts "box" xyxy in pixels, "score", "label", "class"); and "skipped", a list of
            dicts "image" and "reason".

        Raises:
            ValueError: images were skipped.
        """
        results = self._write()
        drawn, skipped = len(self._answers), len(self._skipped)
        if drawn:
            print(f"{self._share(drawn)} drawn into {self._output}")
        if skipped:
            raise ValueError(f"{self._share(skipped)} skipped, for the reason{_s(skipped)} above.")
        return results

    def _share(self, count):
        total = len(self.files)
        return f"{count} of {total} image{_s(total)} {'was' if count == 1 else 'were'}"

    def _write(self):
        results = {"class_names": list(self._class_names), "images": self._answers, "skipped": self._skipped}
        if self._json:
            write_json(self._json, results)
        return results


def _s(count):
    return "" if count == 1 else "s"


def _files(paths, endings):
    """List the named files, and those of the named folders that have an image suffix."""
    files = []
    for path in paths:
        if not path.is_dir():
            files.append(path)
            continue
        found = [file for file in sorted(path.iterdir()) if file.suffix.lower() in endings and file.is_file()]
        if not found:
            raise ValueError(f"Folder {path} holds no image ({', '.join(endings)}); name the one that does.")
        files += found
        kept = {*found}
        rest = [file.name for file in sorted(path.iterdir()) if file.is_file() and file not in kept]
        rest = [name for name in rest if not name.startswith(".")]
        if rest:
            names = ", ".join(rest[:NAMED]) + (" …" if len(rest) > NAMED else "")
            print(f"Left out of {path}, by their endings no pictures: {len(rest)}, {names}.")
    if not files:
        raise ValueError("No image is named; give image files or folders of them.")
    return files


def _targets(files, output):
    """Name an output file for every image: JPEG for JPEG, PNG for all others; equal names are numbered."""
    targets, taken, sources = [], set(), {file.resolve() for file in files}
    for file in files:
        suffix = file.suffix if file.suffix.lower() in (".jpg", ".jpeg") else ".png"
        target, number = output / f"{file.stem}{suffix}", 1
        while target in taken:
            number += 1
            target = output / f"{file.stem}-{number}{suffix}"
        if target.resolve() in sources:
            raise ValueError(
                f"The picture of {file} would replace the image {target}; name another folder with --output."
            )
        targets.append(target)
        taken.add(target)
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
