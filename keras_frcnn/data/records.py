"""Annotations of an image, known before its pixels are read, and checks of its boxes.

Shape letter: M objects of the image.
"""

import contextlib
import dataclasses
import operator
import warnings

import numpy as np

from keras_frcnn.class_names import visible

# A box reaches outside by as many pixels because tools write four to six digits of a fraction.
ROUNDING = 0.1


@dataclasses.dataclass(frozen=True, eq=False)
class Record:
    """One annotated image.

    Attributes:
        image_id: str or int, the data set's name for the image.
        file: str, name of the image in messages.
        height, width: int, pixels of the upright image.
        boxes: float32 `[M, 4]` xyxy, half-open, pixels of the upright image, inside it and with an area.
        labels: int32 `[M]`, indices into the set's class names.
        ignore: bool `[M]`, True for VOC's difficult objects and COCO's crowds.
        area: float32 `[M]`, the annotated area (COCO) or the area of the box, square pixels.
    """

    image_id: str | int
    file: str
    height: int
    width: int
    boxes: np.ndarray
    labels: np.ndarray
    ignore: np.ndarray
    area: np.ndarray

    def __repr__(self):
        ignored = f" ({int(self.ignore.sum())} ignored)" if self.ignore.any() else ""
        objects = counted(len(self.labels), "object")
        return f"<Record {self.image_id!r}: {self.height} × {self.width} pixels, {objects}{ignored}>"


@dataclasses.dataclass
class Collected:
    """What is wrong in a set, all of it; see `BoxCheck.part`.

    Attributes:
        refusals: dict whose keys are sentences, each about what was left out.
        notes: dict from a defect that was mended, as in `BoxCheck.note`, to its places.
        pictures: set of str, paths of the annotated pictures, with those that were left out.
    """

    refusals: dict = dataclasses.field(default_factory=dict)
    notes: dict = dataclasses.field(default_factory=dict)
    pictures: set = dataclasses.field(default_factory=set)


class Mended(UserWarning):
    """Warning about one kind of defect that was mended while a set was read.

    Args:
        message: str.
        name: str, name of the set.
        noun, what: see `BoxCheck.note`.
        count: int, how often it was mended.
    """

    def __init__(self, message, name="", noun="", what="", count=0):
        super().__init__(message)
        self.name, self.noun, self.what, self.count = name, noun, what, count


class BoxCheck:
    """Makes records from valid boxes, and counts what it and the readers had to mend.

    A box without a finite area inside its image is dropped; a box that reaches outside is clipped. `report`
    warns about each kind in one line.

    Args:
        name: str, name of the data set in the warnings.
        collected: `Collected` to fill instead of refusing and warning, or None.
    """

    def __init__(self, name, collected=None):
        self.name = name
        self.collected = collected
        self.notes = {} if collected is None else collected.notes

    @contextlib.contextmanager
    def part(self):
        """Context manager in which one part of a set is read, such as a picture or an object.

        A part that is refused ends the reading, or is left out if everything wrong is to be collected.
        """
        try:
            yield
        except (ValueError, OSError) as error:
            if self.collected is None:
                raise
            self.collected.refusals[str(error)] = None

    def note(self, noun, what, place):
        """Count a defect.

        Args:
            noun, what: str, what has the defect and what was done, such as "box" and "clipped".
            place: str, the object and the file.
        """
        self.notes.setdefault((noun, what), []).append(place)

    def record(self, image_id, file, height, width, boxes, labels, ignore, area=None, source=None):
        """Make the record of one image.

        Args:
            image_id, file, height, width, labels, ignore, area: as in `Record`.
            boxes: `[M, 4]` xyxy, valid or not. An area that is NaN is taken from the box.
            source: name of the annotation in the warnings; by default the file.

        Returns:
            Record.
        """
        with np.errstate(over="ignore"):
            boxes = np.asarray(boxes, np.float32).reshape(-1, 4)
        inside = np.clip(boxes, 0, np.array([width, height, width, height], np.float32))
        sides = inside[:, 2:] - inside[:, :2]
        numbers = np.isfinite(boxes).all(-1)
        keep = numbers & (sides > 0).all(-1)
        moved = keep & (np.abs(inside - boxes) > ROUNDING).any(-1)
        kinds = (
            (~numbers, "with a coordinate that is not finite dropped"),
            (numbers & ~keep, "without area inside the image dropped"),
            (moved, "reaching outside the image clipped"),
        )
        for found, what in kinds:
            for index in np.flatnonzero(found):
                self.note("box", what, f"object {index} of {source or file}")
        own = sides.prod(-1)
        area = own if area is None else np.asarray(area, np.float64).reshape(-1)
        for index in np.flatnonzero(area > 1.01 * height * width):
            self.note(
                "area",
                "larger than the picture replaced with that of the box",
                f"object {index} of {source or file}",
            )
        area = np.where(area <= 1.01 * height * width, area, own)
        return Record(
            image_id=image_id,
            file=str(file),
            height=int(height),
            width=int(width),
            boxes=inside[keep],
            labels=np.asarray(labels, np.int32).reshape(-1)[keep],
            ignore=np.asarray(ignore, bool).reshape(-1)[keep],
            area=np.asarray(area, np.float32).reshape(-1)[keep],
        )

    def report(self):
        """Warn about each kind of defect in one line, unless they are collected."""
        if self.collected is not None:
            return
        for (noun, what), places in self.notes.items():
            message = visible(f"{self.name}: {counted(len(places), noun)} {what} (first: {places[0]}).")
            warnings.warn(Mended(message, self.name, noun, what, len(places)), stacklevel=2)


def counted(number, noun):
    """A number of things in words, such as "2 boxes"."""
    plural = "" if number == 1 else "es" if noun.endswith(("x", "s", "ch")) else "s"
    return f"{number} {noun}{plural}"


def is_whole(value):
    """Whether a value can count or index, such as 3 or a scalar of NumPy."""
    try:
        operator.index(value)
    except TypeError:
        return False
    return True
