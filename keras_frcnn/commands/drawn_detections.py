"""Output of the commands that find objects in image files: the pictures, the lines, the JSON."""

import collections
import contextlib
import re
import sys
from pathlib import Path

import numpy as np

from keras_frcnn import drawing
from keras_frcnn.class_names import visible
from keras_frcnn.commands.detection_files import DetectionFiles
from keras_frcnn.commands.inputs import is_stream
from keras_frcnn.commands.outputs import check_json
from keras_frcnn.commands.video import Frames, VideoFile
from keras_frcnn.data.records import counted
from keras_frcnn.files import write_json


class DrawnDetections:
    """Results for images: a picture and a line for each, all of them as JSON, and files for other tools.

    Args:
        files: list of `Path`, the image files.
        output: folder for the pictures.
        score_threshold: detections below it are neither drawn nor counted, 0 to 1.
        json: file for all detections, or None.
        formats: what to write, some of `FORMATS`.
        videos: list of str, files or URLs.

    Raises:
        ValueError: a picture would replace an image, or `json` is a folder.
    """

    FORMATS = ("pictures", *DetectionFiles.FORMATS)

    def __init__(self, files, output, score_threshold, json=None, formats=("pictures",), videos=()):
        if not 0 <= score_threshold <= 1:
            raise ValueError(f"--score-threshold is between 0 and 1, not {score_threshold}.")
        check_json(json)
        self.files, self.videos = files, videos
        self._targets = dict(zip([*files, *videos], _targets(files, videos, output)))
        for kind in ("voc", "yolo"):
            place = (output / kind).resolve()
            inside = [file for file in files if file.resolve().parent == place] if kind in formats else []
            if inside:
                raise ValueError(
                    f"--write {kind} would write into the folder of {inside[0]}; name another with --output."
                )
        self._output, self._score_threshold, self._json = output, score_threshold, json
        self._formats, self._for_others = formats, DetectionFiles(output, formats, score_threshold)
        self._answers, self._skipped, self._done, self._begun = [], [], 0, False

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
        target, drawn = self._targets[file], "pictures" in self._formats
        if drawn:
            drawing.write(target, self._drawn(image, found))
        print(f"{visible(str(file))}: {_count(found, self._class_names, self._score_threshold)}", flush=True)
        self._keep(target.stem, str(file), target if drawn else None, image, found)
        self._done += 1

    def add_video(self, video, detect, progress):
        """Draw the detections of all frames into a video.

        Args:
            video: one of `videos`.
            detect: function from an iterable of numbered frames to one of numbers, frames and dicts as from
                `detect`.
            progress: function that is called with the number of frames done and of all, if that is known.
        """
        target = self._targets[video]
        frames = Frames(video)
        written = VideoFile(target, frames.rate) if "pictures" in self._formats else None
        done, total = 0, collections.Counter()
        try:
            for _, image, found in detect(enumerate(frames)):
                if written:
                    written.add(self._drawn(image, found))
                self._keep(
                    f"{target.stem}-{done:06d}", video, target if written else None, image, found, done
                )
                done += 1
                total.update(_sure(found, self._score_threshold))
                if frames.total >= done:
                    progress(done, frames.total)
        finally:
            if written:
                written.close()
        if not done:
            raise ValueError(f"{video} has no frame that can be decoded; check it in a player.")
        print(f"{visible(video)}: {counted(done, 'frame')}, {_listed(total, self._class_names)}", flush=True)
        self._done += 1

    def _drawn(self, image, found):
        return drawing.draw(image, found, self._class_names, self._score_threshold)

    def _keep(self, name, file, target, image, found, frame=None):
        """Keep an answer for the JSON and for other tools."""
        answer = _answer(file, target, image, found, self._class_names, frame)
        # A video can be longer than the memory is large.
        if self._json or frame is None:
            self._answers.append(answer)
        self._begun = True
        self._for_others.add(name, file, image, answer["detections"], frame)

    @property
    def finished(self):
        """The number of images and videos that were read or skipped."""
        return self._done + len(self._skipped)

    def skip(self, file, reason):
        """Report an image that could not be read, and why."""
        print(visible(str(reason)), file=sys.stderr)
        self._skipped.append({"image": str(file), "reason": str(reason)})

    @contextlib.contextmanager
    def kept(self):
        """If an exception ends the block, write the JSON of the finished images."""
        try:
            yield
        except BaseException:
            if self._begun or self._skipped:
                self._write()
                print(f"{self._share(self._done)} finished and kept.", file=sys.stderr)
            raise

    def finish(self):
        """Write the JSON and print a summary.

        Returns:
            dict of "class_names"; "images", a list of dicts "image", "height", "width", "drawn" (the picture
            or video, None if there is none), of a video also "frame", and "detections" (dicts "box" xyxy in
            pixels, "score", "label", "class"), without frames if there is no `json`; and "skipped", a list
            of dicts "image" and "reason".

        Raises:
            ValueError: images were skipped.
        """
        results = self._write()
        skipped = len(self._skipped)
        if self._done:
            what = "drawn" if "pictures" in self._formats else "written"
            print(f"{self._share(self._done)} {what} into {self._output}")
        if skipped:
            raise ValueError(f"{self._share(skipped)} skipped, for the reason{_s(skipped)} above.")
        return results

    def _share(self, count):
        # Folders and patterns without pictures are skipped too.
        total = len({*map(str, self._targets), *(one["image"] for one in self._skipped)})
        kinds = [("image", self.files), ("video", self.videos)]
        noun = " and ".join(f"{name}{_s(total)}" for name, inputs in kinds if inputs)
        return f"{count} of {total} {noun or 'images'} {'was' if count == 1 else 'were'}"

    def _write(self):
        results = {"class_names": list(self._class_names), "images": self._answers, "skipped": self._skipped}
        if self._json:
            write_json(self._json, results)
        self._for_others.finish(self._class_names)
        return results


def _s(count):
    return "" if count == 1 else "s"


def _targets(files, videos, output):
    """Name an output file for every image and video; names that differ in their ending only are numbered.

    Images are JPEG if they were, and PNG otherwise; videos are MP4.
    """
    # The number of the last name with each stem, so that a thousand equal ones are not tried anew for each.
    targets, taken, numbers = [], set(), collections.Counter()
    sources = {
        file.resolve() for file in [*files, *(Path(video) for video in videos if not is_stream(video))]
    }
    for file in [*files, *map(_name_of_video, videos)]:
        suffix = file.suffix if file.suffix.lower() in (".jpg", ".jpeg", ".mp4") else ".png"
        target, stem = output / f"{file.stem}{suffix}", file.stem.casefold()
        while target.stem.casefold() in taken:
            numbers[stem] += 1
            target = output / f"{file.stem}-{numbers[stem] + 1}{suffix}"
        if target.resolve() in sources:
            raise ValueError(
                f"The picture of {file} would replace the image {target}; name another folder with --output."
            )
        targets.append(target)
        taken.add(target.stem.casefold())
    return targets


def _name_of_video(video):
    """A file name for a video: its own, or the last part of a URL."""
    last = re.sub(r"[^\w.-]+", "_", video.partition("://")[2].rstrip("/").rpartition("/")[2])
    return Path(last or "stream" if is_stream(video) else video).with_suffix(".mp4")


def _sure(found, score_threshold):
    return [int(label) for label, score in zip(found["labels"], found["scores"]) if score >= score_threshold]


def _count(found, class_names, score_threshold):
    counts = collections.Counter(_sure(found, score_threshold))
    if not counts and len(found["scores"]):
        best = int(np.argmax(found["scores"]))
        name, score = class_names[found["labels"][best]], found["scores"][best]
        return f"nothing (the best below the threshold: {name} {score:.2f})"
    return _listed(counts, class_names)


def _listed(counts, class_names):
    return ", ".join(f"{counts[label]} {class_names[label]}" for label in sorted(counts)) or "nothing"


def _answer(file, target, image, found, class_names, frame):
    return {
        "image": file,
        **({} if frame is None else {"frame": frame}),
        "height": image.shape[0],
        "width": image.shape[1],
        "drawn": target and str(target),
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
