"""Files of detections in the formats of other tools, such as for correcting them in an annotation tool."""

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from keras_frcnn import drawing
from keras_frcnn.data.writers import copy_picture, upright, voc_text, yolo_line
from keras_frcnn.files import GrowingText, write_text


class DetectionFiles:
    """Collects the detections of pictures and writes them.

    Args:
        folder: folder to write to.
        formats: some of `FORMATS`.
        score_threshold: detections with a lower score are left out, except of "coco", which has all.
    """

    FORMATS = ("coco", "voc", "yolo", "csv", "crops")

    def __init__(self, folder: Path, formats: Sequence[str], score_threshold: float):
        self.folder, self.formats, self.score_threshold = folder, formats, score_threshold
        self._identities = {}
        # A video has more detections than the memory may hold.
        self._coco = GrowingText(folder / "coco_results.json")
        self._table = GrowingText(folder / "detections.csv")
        self._first = True

    def add(
        self,
        name: str,
        file: str,
        image: np.ndarray,
        detections: Sequence[dict[str, Any]],
        frame: int | None = None,
    ) -> None:
        """Add a picture, and write the files that it has of its own.

        Args:
            name: name without an ending, different for each picture.
            file: the picture, for the annotation.
            image: uint8 `[H, W, 3]` RGB.
            detections: dicts of "box" xyxy in pixels, "score", "label", "class".
            frame: number of the frame, from 0, if `file` is a video.
        """
        height, width = image.shape[:2]
        if self._first:
            self._begin()
        if "coco" in self.formats:
            identity = self._identity(name)
            for found in detections:
                x1, y1, x2, y2 = found["box"]
                box = {"bbox": [x1, y1, x2 - x1, y2 - y1], "score": found["score"]}
                row = {"image_id": identity, "category_id": found["label"] + 1, **box}
                self._coco.add(f"{self._comma}\n  {json.dumps(row)}")
                self._comma = ","
        sure = [found for found in detections if found["score"] >= self.score_threshold]
        if "csv" in self.formats:
            number = "" if frame is None else frame
            rows = [(file, number, *found["box"], found["score"], found["class"]) for found in sure]
            self._table.add(_csv(rows))
        if "voc" in self.formats:
            boxes = [drawing.whole_pixels(found["box"], height, width) for found in sure]
            objects = [(found["class"], box, False) for found, box in zip(sure, boxes)]
            filename = self._copy("voc", name, file, image, frame)
            self._write(f"voc/{name}.xml", voc_text(filename, width, height, objects))
        if "yolo" in self.formats:
            lines = [yolo_line(found["label"], found["box"], width, height) for found in sure]
            self._copy("yolo", name, file, image, frame)
            self._write(f"yolo/{name}.txt", "".join(lines))
        if "crops" in self.formats:
            for number, found in enumerate(sure, start=1):
                self._write_crop(image, found, f"{name}-{number}.png")

    def _begin(self):
        """Write what the files of all pictures together begin with."""
        self._first, self._comma = False, ""
        self.folder.mkdir(parents=True, exist_ok=True)
        if "coco" in self.formats:
            self._coco.add("[")
        if "csv" in self.formats:
            self._table.add(_csv([("image", "frame", "xmin", "ymin", "xmax", "ymax", "score", "class")]))

    def _identity(self, name):
        """The id of a picture in COCO: its number if its name is one that no other picture has."""
        number = int(name) if name.isdecimal() else name
        return number if self._identities.setdefault(number, name) == name else name

    def finish(self, class_names: Sequence[str]) -> None:
        """Finish the files of all pictures together."""
        if self._first:
            self._begin()
        if "coco" in self.formats:
            self._coco.add("\n]\n")
            self._coco.close()
        # "N/A" may be there several times; YOLO's numbers need a line for each.
        seen = [*dict.fromkeys(class_names)]
        lines = [
            name if name not in class_names[:at] else f"{name} {at}" for at, name in enumerate(class_names)
        ]
        for name, file, listed in (("voc", "labels.txt", seen), ("yolo", "classes.txt", lines)):
            if name in self.formats:
                self._write(f"{name}/{file}", "".join(f"{each}\n" for each in listed))
                folder = self.folder / name
                print(
                    f"Correct the annotations in {folder}, beside the pictures; then train on folder:{folder}"
                )
        if "csv" in self.formats:
            self._table.close()

    def _copy(self, folder, name, file, image, frame):
        """Put the picture beside its annotation, so that both together are a data set; return its name."""
        source, ending = upright(Path(file)) if frame is None else (None, ".jpg")
        copy_picture(source, self._made(f"{folder}/{name}{ending}"), lambda: image)
        return f"{name}{ending}"

    def _write_crop(self, image, found, name):
        x1, y1, x2, y2 = drawing.whole_pixels(found["box"], *image.shape[:2])
        # A class may be called "n/a".
        folder = "".join(sign if sign.isalnum() or sign in " -_." else "_" for sign in found["class"])
        path = self._made(f"crops/{folder.strip('. ') or '_'}/{name}")
        drawing.write(path, image[y1:y2, x1:x2])

    def _write(self, name, text):
        write_text(self._made(name), text)

    def _made(self, name):
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path


def _csv(rows):
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()
